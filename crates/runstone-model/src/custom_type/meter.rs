//! Bounds for evaluating what users wrote: steps, depth of the stack, nesting of values.
//!
//! The libraries that evaluate JSON Schema and jq offer no limit, but both are generic over the
//! values they work on and call back for every step. Those calls are charged here. When the
//! allowance is used up the evaluation is unwound from within: an error could be caught by the
//! rule itself, an unwinding cannot. It runs on a thread of its own, whose stack is known to
//! suffice for what the meter lets through, and which has ended when [`run`] returns.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Bytes of the evaluating thread's stack. Only what is touched takes memory.
const STACK_BYTES: usize = 64 << 20;
/// Bytes of it that evaluation may use; the rest is for what happens between two steps, for
/// values that are taken apart, and for unwinding.
const STACK_BYTES_MAX: usize = 24 << 20;
/// Deepest nesting of a value.
pub(super) const DEPTH_MAX: u32 = 512;

/// Why an evaluation was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// It took more steps or memory than allowed.
    #[error("the evaluation took too many steps or too much memory")]
    Steps,
    /// It nested too deep.
    #[error("the evaluation nested too deep")]
    Depth,
    /// The library failed.
    #[error("the evaluation failed")]
    Failed,
}

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static BASE: Cell<usize> = const { Cell::new(0) };
}

/// Unwinds the evaluation.
pub(super) fn stop(why: Stop) -> ! {
    LEFT.set(0);
    // Without the hook that reports panics: this is no failure of the program.
    resume_unwind(Box::new(why))
}

/// Takes `cost` steps; a step stands for some 16 bytes or as many nanoseconds.
pub(super) fn charge(cost: usize) {
    let left = LEFT.get();
    match left.checked_sub(cost as u64) {
        Some(left) => LEFT.set(left),
        None => stop(Stop::Steps),
    }
}

/// One step of a rule: charged, and the stack is looked at.
pub(super) fn step() {
    charge(1);
    let here = 0_u8;
    let here = std::hint::black_box(&raw const here).addr();
    if BASE.get().abs_diff(here) > STACK_BYTES_MAX {
        stop(Stop::Depth);
    }
}

/// Runs `evaluate` with an allowance of `steps`.
pub(super) fn run<T: Send>(steps: u64, evaluate: impl FnOnce() -> T + Send) -> Result<T, Stop> {
    let bounded = || {
        let here = 0_u8;
        BASE.set((&raw const here).addr());
        LEFT.set(steps);
        catch_unwind(AssertUnwindSafe(evaluate)).map_err(|why| reason(&*why))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("custom type".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, bounded)
            .map_err(|_| Stop::Failed)?;
        thread.join().unwrap_or(Err(Stop::Failed))
    })
}

fn reason(why: &(dyn Any + Send)) -> Stop {
    why.downcast_ref().copied().unwrap_or(Stop::Failed)
}
