//! What the store does, the same on both engines.

use runstone_model::command::Reply;
use runstone_model::fact::EnvironmentNo;
use runstone_model::name::EnvironmentKind;

use crate::support::{Bench, benches};

async fn names(bench: &Bench, environment: u32, snapshot: u64) -> Vec<String> {
    let mut read = bench.store.read().await.unwrap();
    let acme = read.organization_named("acme").await.unwrap().unwrap().no;
    let mut names: Vec<String> = read
        .running(acme, EnvironmentNo(environment), snapshot)
        .await
        .unwrap()
        .iter()
        .map(|running| {
            format!(
                "{}@{} {}",
                running.identity.name,
                running.identity.fingerprint.unwrap().0[0],
                String::from_utf8_lossy(&running.detail)
            )
        })
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_become_snapshots_only_when_something_differs() {
    for bench in benches(1).await {
        let acme = bench.organization("acme").await;
        bench.environment("acme", "prod", false).await;
        let done = bench
            .report("acme", "prod", &[("web", 1, &[10]), ("db", 2, &[20])])
            .await;
        assert_eq!(done.reply, Reply::Snapshot(1));
        assert_eq!(done.entries.len(), 1);
        let again = bench
            .report("acme", "prod", &[("db", 2, &[20]), ("web", 1, &[10, 11])])
            .await;
        assert_eq!(again.reply, Reply::Unchanged, "a count alone is no change");
        assert!(again.entries.is_empty());
        bench.clock.advance(1_000_000);
        let done = bench
            .report("acme", "prod", &[("web", 3, &[30]), ("db", 2, &[21])])
            .await;
        assert_eq!(done.reply, Reply::Snapshot(2));
        assert_eq!(
            names(&bench, 1, 1).await,
            ["db@2 {\"t\":[20]}", "web@1 {\"t\":[10]}"]
        );
        assert_eq!(
            names(&bench, 1, 2).await,
            ["db@2 {\"t\":[21]}", "web@3 {\"t\":[30]}"]
        );
        let mut read = bench.store.read().await.unwrap();
        let changes = read.changes(acme, EnvironmentNo(1), 1, 2).await.unwrap();
        assert_eq!(changes[0].1.added.len(), 2);
        assert_eq!(changes[0].0.events_before, 0);
        assert_eq!(changes[1].0.events_before, 2);
        assert_eq!(changes[1].0.events, 2);
        assert_eq!(changes[1].1.removed[0].identity.name, "web");
        assert_eq!(
            changes[1].1.removed[0].identity.fingerprint.unwrap().0[0],
            1
        );
        let found = read.records_by_prefix(acme, "01010", 10).await.unwrap();
        assert_eq!(found.len(), 1);
        let runs = read.runs(acme, &[found[0].no]).await.unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].from, runs[0].to), (1, Some(1)));
        let db = read.records_by_prefix(acme, "02", 10).await.unwrap();
        let runs = read.runs(acme, &[db[0].no]).await.unwrap();
        assert_eq!(runs.len(), 1, "a change of details does not end a run");
        assert_eq!((runs[0].from, runs[0].to), (1, None));
        drop(read);
        bench.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_is_part_of_the_state_where_it_is_asked_for() {
    for bench in benches(2).await {
        let acme = bench.organization("acme").await;
        bench.environment("acme", "prod", true).await;
        bench
            .report("acme", "prod", &[("web", 1, &[1, 2, 3])])
            .await;
        let done = bench.report("acme", "prod", &[("web", 1, &[1])]).await;
        assert_eq!(done.reply, Reply::Snapshot(2));
        let mut read = bench.store.read().await.unwrap();
        let snapshot = read
            .snapshot(acme, EnvironmentNo(1), 2)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(snapshot.events, 1, "scaling is one event");
        drop(read);
        bench.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logical_environment_follows_its_members() {
    for bench in benches(3).await {
        let acme = bench.organization("acme").await;
        bench.environment("acme", "east", true).await;
        bench.environment("acme", "west", false).await;
        bench.report("acme", "east", &[("web", 1, &[1, 2])]).await;
        bench
            .put(
                "acme",
                "all",
                EnvironmentKind::Logical,
                false,
                Some(vec!["east".to_owned(), "west".to_owned()]),
            )
            .await;
        assert_eq!(names(&bench, 3, 1).await, ["web@1 {\"t\":[1,2]}"]);
        bench
            .report("acme", "west", &[("web", 1, &[5]), ("db", 2, &[6])])
            .await;
        assert_eq!(
            names(&bench, 3, 2).await,
            ["db@2 {\"t\":[6]}", "web@1 {\"t\":[1,2,5]}"]
        );
        bench.report("acme", "east", &[]).await;
        assert_eq!(
            names(&bench, 3, 3).await,
            ["db@2 {\"t\":[6]}", "web@1 {\"t\":[5]}"]
        );
        let mut read = bench.store.read().await.unwrap();
        let logical = read.changes(acme, EnvironmentNo(3), 3, 3).await.unwrap();
        assert_eq!(
            logical[0].1.removed[0].identity.name, "web",
            "the member's event is the logical one's"
        );
        drop(read);
        bench.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_has_a_receipt_that_others_can_check() {
    for bench in benches(4).await {
        let acme = bench.organization("acme").await;
        bench.environment("acme", "prod", false).await;
        for round in 0..600u32 {
            let byte = (round % 250) as u8;
            bench
                .report("acme", "prod", &[("web", byte, &[i64::from(round)])])
                .await;
        }
        let mut read = bench.store.read().await.unwrap();
        let head = read.log(acme, None).await.unwrap().unwrap();
        assert_eq!(head.size, 601);
        let keys: Vec<_> = head
            .keys
            .iter()
            .map(|key| key.vkey.parse().unwrap())
            .collect();
        for index in [0, 1, 255, 256, 511, 512, 600] {
            let receipt = read.receipt(acme, index).await.unwrap().unwrap();
            let entry = read.entry(acme, index).await.unwrap().unwrap();
            runstone_journal::proof::verify_receipt(
                &runstone_journal::proof::Receipt::parse(receipt.as_bytes()).unwrap(),
                &entry,
                &keys,
            )
            .unwrap();
        }
        assert_eq!(names(&bench, 1, 300).await, ["web@49 {\"t\":[299]}"]);
        drop(read);
        bench.store.close().await;
    }
}
