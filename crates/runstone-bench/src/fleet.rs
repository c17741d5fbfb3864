//! A cluster whose pods are replaced now and then: the stream of states that every recorder is
//! given. A pod is about 270 bytes of JSON: name, namespace, image, digest and creation time.

use runstone_model::id::{Fingerprint, encode_hex};
use runstone_model::name::EnvironmentKind;
use runstone_model::report::{Observed, Report, ReportLimits, read_report};

use crate::chance::Chance;

/// One pod.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Its element of the report.
    pub json: String,
    /// Its image's digest.
    pub fingerprint: Fingerprint,
    observed: Observed,
}

/// The cluster.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// What runs.
    pub pods: Vec<Pod>,
    chance: Chance,
    created: i64,
    version: u64,
}

impl Fleet {
    /// A cluster of `count` pods.
    pub fn new(count: usize, seed: u64) -> Self {
        let mut fleet = Self {
            pods: Vec::with_capacity(count),
            chance: Chance::new(seed),
            created: 1_700_000_000,
            version: 0,
        };
        for number in 0..count {
            let pod = fleet.pod(number);
            fleet.pods.push(pod);
        }
        fleet
    }

    fn pod(&mut self, number: usize) -> Pod {
        self.created += 7;
        self.version += 1;
        let fingerprint = Fingerprint(self.chance.hash());
        let suffix = encode_hex(&self.chance.next().to_be_bytes());
        let json = format!(
            "{{\"podName\":\"service-{number:04}-{suffix}\",\"namespace\":\"production-eu-west-1\",\"digests\":{{\"registry.eu-west-1.example.com/shop/backend/service-{number:04}:release-2026.1.{version}\":\"{fingerprint}\"}},\"creationTimestamp\":{created}}}",
            version = self.version,
            created = self.created,
        );
        let report = read_report(
            EnvironmentKind::K8s,
            format!("{{\"artifacts\":[{json}]}}").as_bytes(),
            &ReportLimits::default(),
        )
        .expect("a generated pod is acceptable");
        let observed = report
            .artifacts
            .into_iter()
            .next()
            .expect("a pod has one image");
        Pod {
            json,
            fingerprint,
            observed,
        }
    }

    /// Replaces so many pods, and says which.
    pub fn change(&mut self, count: usize) -> Vec<usize> {
        (0..count)
            .map(|_| {
                let number = self.chance.below(self.pods.len() as u64) as usize;
                self.pods[number] = self.pod(number);
                number
            })
            .collect()
    }

    /// The next state: in 90 of 100 cases one pod is replaced, in 9 five, in 1 a tenth of all.
    pub fn step(&mut self) -> Vec<usize> {
        let count = match self.chance.below(100) {
            0 => (self.pods.len() / 10).max(1),
            1..10 => 5.min(self.pods.len()),
            _ => 1,
        };
        self.change(count)
    }

    /// The state as a report that was read.
    pub fn report(&self) -> Report {
        let mut artifacts: Vec<_> = self.pods.iter().map(|pod| pod.observed.clone()).collect();
        artifacts.sort_unstable_by(|a, b| (a.fingerprint, &a.name).cmp(&(b.fingerprint, &b.name)));
        Report { artifacts }
    }

    /// The state as the body of a report.
    pub fn body(&self) -> String {
        let mut parts: Vec<&str> = self.pods.iter().map(|pod| pod.json.as_str()).collect();
        parts.sort_unstable();
        format!("{{\"artifacts\":[{}]}}", parts.join(","))
    }

    /// The same state with the pods in another order.
    pub fn shuffled_body(&self, chance: &mut Chance) -> String {
        let mut parts: Vec<&str> = self.pods.iter().map(|pod| pod.json.as_str()).collect();
        chance.shuffle(&mut parts);
        format!("{{\"artifacts\":[{}]}}", parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn the_report_is_that_of_the_body() {
        let mut fleet = Fleet::new(50, 1);
        for _ in 0..20 {
            fleet.step();
        }
        let read = |body: String| {
            read_report(
                EnvironmentKind::K8s,
                body.as_bytes(),
                &ReportLimits::default(),
            )
            .unwrap()
        };
        assert_eq!(read(fleet.body()), fleet.report());
        let shuffled = fleet.shuffled_body(&mut Chance::new(2));
        assert_ne!(shuffled, fleet.body());
        assert_eq!(read(shuffled), fleet.report());
        let mean = fleet.body().len() / 50;
        assert!((256..=296).contains(&mean), "{mean} bytes per pod");
    }

    #[test]
    fn two_runs_make_the_same_states() {
        let mut one = Fleet::new(20, 3);
        let mut two = Fleet::new(20, 3);
        for _ in 0..50 {
            assert_eq!(one.step(), two.step());
        }
        assert_eq!(one.body(), two.body());
    }
}
