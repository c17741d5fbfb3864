//! `admin …`: work on the store itself, for whoever owns its data.
//!
//! Every command is a thin layer over a function of the store. Where a running server owns the
//! store, what needs it open goes through the server's administration socket (design D17).

pub mod backup;
pub mod close_organization;
pub mod erase;
pub mod export;
pub mod fsck;
pub mod limits;
pub mod new_epoch;
pub mod provision;
pub mod rebuild;
pub mod restore;
pub mod rotate_key;
pub mod seal;

use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use runstone_server::admin_socket::{Refused, SOCKET};
use runstone_store::{Engine, OpenError, Options, Progress, Store};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::Context;
use crate::server;

/// How an open store is reached.
enum Reached {
    /// This process opened it.
    Store(Store),
    /// A running server has it open.
    Server(Socket),
}

/// The administration socket of a running server.
struct Socket {
    client: reqwest::Client,
}

impl Socket {
    fn of(directory: &Path) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .unix_socket(directory.join(SOCKET))
            .no_proxy()
            .build()?;
        Ok(Self { client })
    }

    /// Asks the server.
    async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        asked: &impl Serialize,
    ) -> anyhow::Result<A> {
        let answer = self
            .client
            .post(format!("http://runstone/{path}"))
            .json(asked)
            .send()
            .await
            .map_err(|error| {
                anyhow::Error::new(error)
                    .context("a process owns the data directory and does not answer on its socket")
            })?;
        if answer.status().is_success() {
            return Ok(answer.json().await?);
        }
        let status = answer.status();
        let bytes = answer.bytes().await?;
        match serde_json::from_slice::<Refused>(&bytes) {
            Ok(refused) => anyhow::bail!(refused.message),
            Err(_) => anyhow::bail!("the running server answered {status}"),
        }
    }
}

/// Has the store do something: by `here` if this process can open it, else by the running server
/// that has it open, asked at `path` of its socket.
pub fn ask<Q: Serialize, A: DeserializeOwned>(
    options: Options,
    path: &str,
    asked: Q,
    here: impl AsyncFnOnce(&Store, Q) -> anyhow::Result<A>,
) -> anyhow::Result<A> {
    server::runtime()?.block_on(async {
        match reach(options).await? {
            Reached::Store(store) => {
                let done = here(&store, asked).await;
                store.close().await;
                done
            }
            Reached::Server(socket) => socket.post(path, &asked).await,
        }
    })
}

/// Opens the store, or reaches the server that has it open.
async fn reach(options: Options) -> anyhow::Result<Reached> {
    let directory = match &options.engine {
        Engine::Sqlite { directory } => Some(directory.clone()),
        Engine::Postgres { .. } => None,
    };
    match (Store::open(options).await, directory) {
        (Ok(store), _) => Ok(Reached::Store(store)),
        (Err(OpenError::Locked { .. }), Some(directory)) if directory.join(SOCKET).exists() => {
            Ok(Reached::Server(Socket::of(&directory)?))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// How the store is opened; it must be there already.
pub fn existing(context: &Context) -> anyhow::Result<Options> {
    let mut options = server::options(&context.values, &context.process)?;
    if let Engine::Sqlite { directory } = &options.engine
        && !directory.join("runstone.db").exists()
    {
        anyhow::bail!(
            "there is no store in {}; name its folder with --data-dir",
            directory.display()
        );
    }
    options.create_key_file = false;
    Ok(options)
}

/// A bar on a terminal, nothing elsewhere.
pub fn progress(context: &Context) -> impl FnMut(Progress) + Send + use<> {
    let target = if context.process.is_terminal && !context.values.bool("quiet") {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    // It goes when the work is done, so that the result stands alone.
    let bar = ProgressBar::with_draw_target(None, target).with_finish(ProgressFinish::AndClear);
    let style = ProgressStyle::with_template("{msg:10} {wide_bar} {human_pos}/{human_len} {eta}")
        .expect("the template is well formed");
    bar.set_style(style);
    move |step: Progress| {
        bar.set_message(step.what);
        bar.set_length(step.total);
        bar.set_position(step.done);
        if step.done >= step.total {
            bar.reset_eta();
        }
    }
}

/// Prints what was done: a sentence, or JSON.
pub fn tell(context: &Context, sentence: &str, json: &Value) -> anyhow::Result<()> {
    match context.values.text("output") {
        "json" => {
            let text = crate::output::json::indented(json.to_string().as_bytes(), 2)
                .map_err(anyhow::Error::msg)?;
            context.print(&text);
        }
        _ => context.say(sentence),
    }
    Ok(())
}

/// Refuses output formats that these commands do not have.
pub fn check_output(context: &Context) -> anyhow::Result<()> {
    match context.values.text("output") {
        "table" | "json" => Ok(()),
        other => anyhow::bail!("unsupported output format: {other}"),
    }
}

/// `1 thing`, `2 things`.
pub fn count(number: u64, thing: &str) -> String {
    counted(number, thing, &format!("{thing}s"))
}

/// The same for words with a plural of their own.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Says that a command needs the store for itself, where a server has it.
pub fn alone(error: runstone_store::AdminError, what: &str) -> anyhow::Error {
    let locked = matches!(
        error,
        runstone_store::AdminError::Open(OpenError::Locked { .. })
    );
    let error = anyhow::Error::new(error);
    if locked {
        error.context(format!(
            "{what} needs the store for itself: stop the server first"
        ))
    } else {
        error
    }
}
