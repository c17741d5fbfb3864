//! What follows from what ran: repositories, builds, observed deployments, and the changes of a
//! system, through the API (`api-organisation.md` sections 10 to 12).

use axum::http::Method;
use runstone_server::testing::TestServer;
use serde_json::{Value, json};

use crate::support::{ADMIN, fp, put_environment, read, refusal, report, servers};

fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn repo(name: &str, provider: &str, id: &str) -> Value {
    let host = if provider == "github" {
        "github.com"
    } else {
        "git.example.com"
    };
    json!({"name": name, "url": format!("https://{host}/{name}"), "id": id, "provider": provider,
        "namespace_path": name.split('/').take(1).collect::<Vec<_>>()})
}

/// Reports an artifact of a flow, whose name in the template is the flow's.
async fn built(server: &TestServer, flow: &str, digit: char, from: &Value) {
    let sha1 = commit(digit);
    let body = json!({"fingerprint": fp(digit), "filename": format!("{flow}:{digit}"),
        "git_commit": sha1, "git_commit_info": {"sha1": sha1, "message": "m",
            "author": "Jo <jo@example.com>", "branch": "main", "timestamp": 1_661_160_900,
            "url": "https://example.com/c"},
        "repo_info": from, "build_url": "https://example.com/b", "commit_url": format!("{}/commit/{sha1}", from["url"].as_str().unwrap()),
        "trail_name": format!("t-{digit}"), "template_reference_name": flow});
    let path = format!("/api/v2/artifacts/acme/{flow}");
    let reply = server
        .send(Method::POST, &path, ADMIN, body.to_string())
        .await;
    assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
}

fn pass(server: &TestServer) {
    if server.clock_stands() {
        server.clock.advance_seconds(60);
    }
}

/// Two flows from two repositories, two environments and a logical one of both. In `prod` `web`
/// goes from a to b and back to a; in `staging` `api` runs and is restarted, and something nobody
/// knows starts beside it.
async fn world(server: &TestServer) {
    let (web, api) = (
        repo("acme/web", "github", "101"),
        repo("acme/api", "gitlab", "7"),
    );
    built(server, "web", 'a', &web).await;
    pass(server);
    built(server, "api", 'c', &api).await;
    built(server, "web", 'b', &web).await;
    // Later reports of a fingerprint are no builds.
    built(server, "web", 'a', &web).await;
    put_environment(server, "prod", "server").await;
    put_environment(server, "staging", "server").await;
    let logical = json!({"name": "all", "type": "logical", "description": "",
        "included_environments": ["prod", "staging"]});
    let reply = server
        .put("/api/v2/environments/acme", ADMIN, logical.to_string())
        .await;
    assert!(reply.status.is_success(), "{}", reply.text());
    for environment in ["prod", "staging"] {
        let body = json!({"set_tags": {"system": "shop", environment: "yes"}});
        let path = format!("/api/v2/tags/acme/environment/{environment}");
        let reply = server
            .send(Method::PATCH, &path, ADMIN, body.to_string())
            .await;
        assert!(reply.status.is_success(), "{}", reply.text());
    }
    pass(server);
    report(server, "prod", &[("web:a", &fp('a'), 1)]).await;
    pass(server);
    report(server, "staging", &[("api:c", &fp('c'), 1)]).await;
    pass(server);
    report(server, "prod", &[("web:b", &fp('b'), 2)]).await;
    pass(server);
    // A restart is no deployment, what nobody reported is one.
    report(server, "staging", &[("api:c", &fp('c'), 9)]).await;
    report(
        server,
        "staging",
        &[("api:c", &fp('c'), 9), ("odd", &fp('0'), 9)],
    )
    .await;
    pass(server);
    // The same under a second name is no deployment either.
    report(
        server,
        "staging",
        &[
            ("api:c", &fp('c'), 9),
            ("api-too", &fp('c'), 9),
            ("odd", &fp('0'), 9),
        ],
    )
    .await;
    report(server, "prod", &[("web:a", &fp('a'), 3)]).await;
}

fn told(list: &Value) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|deployment| {
            format!(
                "{}#{} {}",
                deployment["env_name"].as_str().unwrap(),
                deployment["snapshot_index"],
                &deployment["fingerprint"].as_str().unwrap()[..1]
            )
        })
        .collect()
}

#[tokio::test]
async fn a_start_is_a_deployment_and_so_is_a_rollback() {
    for server in servers().await {
        world(&server).await;
        let list = read(&server, "/deployments/acme").await;
        assert_eq!(
            told(&list["deployments"]),
            [
                "prod#3 a",
                "staging#2 0",
                "prod#2 b",
                "staging#1 c",
                "prod#1 a"
            ]
        );
        assert_eq!(list["total_count"], 5);
        let rollback = &list["deployments"][0];
        assert_eq!(rollback["artifact"]["flow_name"], "web");
        assert_eq!(rollback["artifact"]["trail_name"], "t-a");
        assert_eq!(rollback["artifact"]["git_commit"], commit('a'));
        assert_eq!(
            rollback["artifact"]["repo_info"],
            json!({"name": "acme/web", "repo_id": "101"})
        );
        assert_eq!(rollback["replaced_artifact"]["fingerprint"], fp('b'));
        assert_eq!(rollback["replaced_artifact"]["snapshot_index"], 2);
        assert_eq!(
            rollback["diff_url"],
            format!(
                "https://github.com/acme/web/compare/{}...{}",
                commit('b'),
                commit('a')
            )
        );
        assert!(rollback["lead_time_seconds"].as_f64().unwrap() > 0.0);
        let odd = &list["deployments"][1];
        for member in [
            "artifact",
            "replaced_artifact",
            "diff_url",
            "lead_time_seconds",
        ] {
            assert_eq!(odd[member], Value::Null, "{member}");
        }
        if server.clock_stands() {
            let of_b = &list["deployments"][2];
            // From its report over two more minutes and three to its start.
            assert!(
                (of_b["lead_time_seconds"].as_f64().unwrap() - 180.0).abs() < 1.0,
                "{of_b}"
            );
        }

        for (query, expected) in [
            (
                "repo_name=acme/web",
                vec!["prod#3 a", "prod#2 b", "prod#1 a"],
            ),
            ("repo_name=acme/api", vec!["staging#1 c"]),
            ("env_name=staging", vec!["staging#2 0", "staging#1 c"]),
            ("env_name=all", vec![]),
            ("per_page=2&page=2", vec!["prod#2 b", "staging#1 c"]),
            ("page=9", vec![]),
            ("end_ts=1", vec![]),
        ] {
            let list = read(&server, &format!("/deployments/acme?{query}")).await;
            assert_eq!(told(&list["deployments"]), expected, "{query}");
        }
        let counted = read(&server, "/deployments/acme?per_page=0").await;
        assert_eq!(
            (&counted["total_count"], &counted["deployments"]),
            (&json!(5), &json!([]))
        );
        for (query, status, message) in [
            (
                "env_name=none",
                404,
                "Environment named 'none' does not exist",
            ),
            ("repo_name=none", 404, "Repo 'none' not found"),
            ("per_page=51", 400, "Input payload validation failed"),
            ("start_ts=9&end_ts=8", 400, "The window of time begins"),
        ] {
            let found = refusal(&server, &format!("/deployments/acme?{query}")).await;
            assert!(
                found.0 == status && found.1.starts_with(message),
                "{query}: {found:?}"
            );
        }

        let last = read(&server, &format!("/deployments/acme/prod/{}", fp('a'))).await;
        assert_eq!(last["snapshot_index"], 3);
        let never = refusal(&server, &format!("/deployments/acme/staging/{}", fp('a'))).await;
        assert_eq!(never.0, 404, "{never:?}");

        let page = read(&server, "/environments/acme/prod/deployments?page_size=2").await;
        assert_eq!(told(&page["deployments"]), ["prod#3 a", "prod#2 b"]);
        assert_eq!(
            (&page["total_count"], &page["total_pages"]),
            (&json!(3), &json!(2))
        );
        let page = read(&server, "/environments/acme/prod/deployments?to=1999-12-31").await;
        assert_eq!(page["total_count"], 0);
        let wrong = refusal(&server, "/environments/acme/prod/deployments?from=soon").await;
        assert_eq!(wrong.0, 400);

        let flow = read(&server, "/flows/acme/web").await;
        let path = format!(
            "/environments/acme/prod/deployment_frequency?flow_id={}",
            flow["id"].as_str().unwrap()
        );
        let frequency = read(&server, &path).await;
        assert_eq!(frequency["count"], 3);
        assert_eq!(frequency["timestamps"].as_array().unwrap().len(), 3);
        let days = frequency["days"].as_array().unwrap();
        let sum: u64 = days.iter().map(|day| day["count"].as_u64().unwrap()).sum();
        assert_eq!(sum, 3, "{frequency}");
        let path = "/environments/acme/staging/deployment_frequency";
        assert_eq!(read(&server, path).await["count"], 2);
        let wrong = refusal(&server, &format!("{path}?flow_id=none")).await;
        assert_eq!(wrong, (404, "Flow not found".to_owned()));
    }
}

#[tokio::test]
async fn builds_are_first_reports() {
    for server in servers().await {
        world(&server).await;
        let list = read(&server, "/builds/acme").await;
        let told: Vec<_> = list["builds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|build| {
                format!(
                    "{} {} {}",
                    &build["fingerprint"].as_str().unwrap()[..1],
                    build["flow_name"].as_str().unwrap(),
                    build["trail_name"].as_str().unwrap()
                )
            })
            .collect();
        assert_eq!(told, ["b web t-b", "c api t-c", "a web t-a"]);
        assert_eq!(
            list["builds"][1]["repo_info"],
            json!({"name": "acme/api", "repo_id": "7"})
        );
        let repo = read(&server, "/repos/acme/acme/web").await;
        let inner = repo["id"].as_str().unwrap();
        for (query, count) in [
            ("repo_id=101".to_owned(), 2),
            ("repo_name=acme%2Fapi".to_owned(), 1),
            (format!("repo_inner_id={inner}"), 2),
            ("start-ts=4000000000&end-ts=4000000001".to_owned(), 0),
        ] {
            let list = read(&server, &format!("/builds/acme?{query}")).await;
            assert_eq!(list["total_count"], count, "{query}");
            let path = format!("/builds/acme/statistics?{query}");
            let statistics = read(&server, &path).await;
            assert_eq!(statistics["count"], count, "{query}");
            assert_eq!(
                statistics["timestamps"].as_array().unwrap().len(),
                count,
                "{query}"
            );
        }
        let wrong = refusal(&server, "/builds/acme?repo_id=none").await;
        assert_eq!(wrong, (404, "Repo 'none' not found".to_owned()));

        let path = format!("/repos/acme/{inner}/deployments");
        let page = read(&server, &path).await;
        assert_eq!(page["total_count"], 3);
        let page = read(&server, &format!("{path}?env=staging")).await;
        assert_eq!(page["total_count"], 0);
        let path = format!("/repos/acme/{inner}/deployment-statistics");
        let series = read(&server, &path).await;
        let environments = series["environments"].as_array().unwrap();
        assert_eq!(environments.len(), 1, "{series}");
        assert_eq!(environments[0]["env_name"], "prod");
        assert_eq!(environments[0]["deployed_at"].as_array().unwrap().len(), 3);
        let leads = environments[0]["lead_time_seconds"].as_array().unwrap();
        assert!(leads.iter().all(|lead| lead.as_f64().unwrap() > 0.0));
    }
}

#[tokio::test]
async fn repositories_are_found_by_name_kind_and_id() {
    for server in servers().await {
        world(&server).await;
        // The same name at another host, and a name with the words of a resource in it.
        built(&server, "other", 'd', &repo("acme/web", "gitlab", "55")).await;
        built(
            &server,
            "other",
            'e',
            &repo("x/deployments", "gitlab", "56"),
        )
        .await;
        let names = |page: &Value| -> Vec<String> {
            page["repos"]
                .as_array()
                .unwrap()
                .iter()
                .map(|repo| {
                    format!(
                        "{} {}",
                        repo["name"].as_str().unwrap(),
                        repo["provider"].as_str().unwrap()
                    )
                })
                .collect()
        };
        let (api, github, gitlab, x) = (
            "acme/api gitlab",
            "acme/web github",
            "acme/web gitlab",
            "x/deployments gitlab",
        );
        for (query, expected) in [
            ("", vec![api, github, gitlab, x]),
            ("sort_direction=desc", vec![x, gitlab, github, api]),
            ("name=acme/web", vec![github, gitlab]),
            ("search=WEB", vec![github, gitlab]),
            ("provider=github", vec![github]),
            ("repo_id=55&name=acme/api", vec![gitlab]),
            ("vcs_instance=git.example.com", vec![api, gitlab, x]),
            ("namespace=x", vec![x]),
            ("per_page=3&page=2", vec![x]),
            ("tag=team", vec![]),
        ] {
            let page = read(&server, &format!("/repos/acme?{query}")).await;
            assert_eq!(names(&page), expected, "{query}");
        }
        let both = refusal(&server, "/repos/acme?name=a&search=b").await;
        assert_eq!(both.0, 400);

        let options = read(&server, "/repos/acme/filter-options?provider=github").await;
        assert_eq!(
            options,
            json!({"providers": ["github", "gitlab"], "vcs_instances": ["github.com"],
                "namespace_values": ["acme"]})
        );

        let several = refusal(&server, "/repos/acme/acme/web").await;
        assert_eq!(several.0, 400);
        assert!(
            several.1.starts_with(
                "Multiple repos named 'acme/web' exist (github, gitlab). Specify the 'provider'"
            ),
            "{}",
            several.1
        );
        let one = read(&server, "/repos/acme/acme%2Fweb?provider=gitlab").await;
        assert_eq!(one["repo_id"], "55");
        assert_eq!(one["vcs_instance"], "git.example.com");
        assert_eq!(one["tags"], json!({}));
        assert!(one["latest_activity"].as_str().unwrap().ends_with('Z'));
        let id = one["id"].as_str().unwrap();
        let again = read(&server, &format!("/repos/acme/{id}?id={id}")).await;
        assert_eq!(again, one);
        let odd = read(&server, "/repos/acme/x/deployments").await;
        assert_eq!(odd["name"], "x/deployments");
        let missing = refusal(&server, "/repos/acme/acme/none").await;
        assert_eq!(missing, (404, "Repo 'acme/none' not found".to_owned()));

        let body = json!({"set_tags": {"team": "shop"}});
        let reply = server
            .send(
                Method::PATCH,
                &format!("/api/v2/tags/acme/repo/{id}"),
                ADMIN,
                body.to_string(),
            )
            .await;
        assert!(reply.status.is_success(), "{}", reply.text());
        let page = read(&server, "/repos/acme?tag=team:shop").await;
        assert_eq!(names(&page), [gitlab]);
        assert_eq!(
            read(&server, "/repos/acme/tags").await,
            json!({"team": ["shop"]})
        );

        // Being told of again counts as activity, also when nothing about it is new.
        let before = read(&server, "/repos/acme/acme/api").await;
        pass(&server);
        built(&server, "api", 'f', &repo("acme/api", "gitlab", "7")).await;
        let after = read(&server, "/repos/acme/acme/api").await;
        assert_ne!(before["latest_activity"], after["latest_activity"]);

        let live = read(
            &server,
            "/repos/acme/live-artifacts/acme/web?provider=github",
        )
        .await;
        assert_eq!(
            live["live_artifacts"].as_array().unwrap().len(),
            1,
            "{live}"
        );
        assert_eq!(live["live_artifacts"][0]["snapshot_index"], 3);
        assert_eq!(live["_embedded"]["environments"][0]["name"], "prod");
        assert_eq!(live["_embedded"]["artifacts"][0]["fingerprint"], fp('a'));
        assert_eq!(
            live["_embedded"]["artifacts"][0]["commit_url"],
            format!("https://github.com/acme/web/commit/{}", commit('a'))
        );
        // Of several the newest is meant, of which nothing runs.
        let live = read(&server, "/repos/acme/live-artifacts/acme/web").await;
        assert_eq!(live["live_artifacts"], json!([]));
        let missing = refusal(&server, "/repos/acme/live-artifacts/none").await;
        assert_eq!(missing, (404, "Repo not found".to_owned()));
    }
}

/// All pages, each with this many changes.
async fn pages(server: &TestServer, query: &str, per_page: u64) -> Vec<Value> {
    let mut pages: Vec<Value> = Vec::new();
    loop {
        let after = pages
            .last()
            .map(|page| format!("&after={}", page["next"].as_str().unwrap()))
            .unwrap_or_default();
        let path = format!("/timeline/acme/changes?{query}&per_page={per_page}{after}");
        pages.push(read(server, &path).await);
        if pages.last().unwrap()["next"].is_null() {
            return pages;
        }
    }
}

fn lines(pages: &[Value]) -> Vec<String> {
    pages
        .iter()
        .flat_map(|page| page["changes"].as_array().unwrap())
        .map(|change| {
            let from = &change["provenance"][0];
            format!(
                "{}#{} {} {} {}@{}",
                change["environment"].as_str().unwrap(),
                change["snapshot"],
                change["kind"].as_str().unwrap(),
                change["artifact"].as_str().unwrap(),
                from["flow"].as_str().unwrap_or("-"),
                from["commit"].as_str().map_or("-", |commit| &commit[..1]),
            )
        })
        .collect()
}

#[tokio::test]
async fn every_change_of_a_system_is_told_once_and_in_order() {
    for server in servers().await {
        world(&server).await;
        let all = [
            "prod#1 started web:a web@a",
            "staging#1 started api:c api@c",
            "prod#2 started web:b web@b",
            "prod#2 exited web:a web@a",
            "staging#2 started odd -@-",
            "staging#3 started api-too api@c",
            "prod#3 started web:a web@a",
            "prod#3 exited web:b web@b",
        ];
        for query in [
            "",
            "tag=system:shop",
            "environment=all",
            "environment=prod&environment=staging",
        ] {
            for per_page in [1, 2, 3, 100] {
                let pages = pages(&server, query, per_page).await;
                assert_eq!(lines(&pages), all, "{query} by {per_page}");
                assert!(
                    pages
                        .iter()
                        .all(|page| page["changes"].as_array().unwrap().len() as u64 <= per_page)
                );
            }
        }
        let prod = pages(&server, "tag=system&tag=prod", 100).await;
        assert_eq!(lines(&prod).len(), 5);
        let page = &prod[0];
        assert_eq!(page["environments"].as_array().unwrap().len(), 1);
        let covered = &page["environments"][0];
        assert_eq!(
            (
                &covered["name"],
                &covered["first_snapshot"],
                &covered["last_snapshot"],
                &covered["changes"]
            ),
            (&json!("prod"), &json!(1), &json!(3), &json!(5))
        );
        let entry = |change: &Value| change["entry"].as_u64().unwrap();
        let changes = page["changes"].as_array().unwrap();
        assert_eq!(covered["first_entry"], entry(&changes[0]));
        assert_eq!(covered["last_entry"], entry(&changes[4]));
        assert!(changes.iter().all(|change| change["actor"] == "ada"));
        assert!(entry(&changes[4]) < page["pinned_to"].as_u64().unwrap());
        // What an entry says is what the page tells.
        let stated = read(
            &server,
            &format!("/journal/acme/entries/{}", entry(&changes[4])),
        )
        .await;
        assert_eq!(stated["actor"], "user:1", "{stated}");

        // Pages are of one state: what comes meanwhile is not on them.
        let first = read(
            &server,
            "/timeline/acme/changes?environment=prod&per_page=2",
        )
        .await;
        report(&server, "prod", &[("web:b", &fp('b'), 5)]).await;
        let next = first["next"].as_str().unwrap();
        let path = format!("/timeline/acme/changes?environment=prod&per_page=99&after={next}");
        let rest = read(&server, &path).await;
        assert_eq!(rest["pinned_to"], first["pinned_to"]);
        assert_eq!(lines(&[first.clone(), rest]), lines(&prod));
        let others = refusal(&server, &format!("/timeline/acme/changes?after={next}")).await;
        assert_eq!(others.0, 400);
        assert!(others.1.starts_with("This is no next page"), "{}", others.1);
        for (query, status) in [
            ("environment=none", 404),
            ("environment=prod&tag=system", 400),
            ("after=1.2", 400),
            ("after=99999.0.0.0.0000000000000000", 400),
            ("per_page=501", 400),
            ("since=2&until=1", 400),
        ] {
            let found = refusal(&server, &format!("/timeline/acme/changes?{query}")).await;
            assert_eq!(found.0, status, "{query}: {}", found.1);
        }
        let none = read(&server, "/timeline/acme/changes?tag=nothing").await;
        assert_eq!(
            (&none["changes"], &none["environments"]),
            (&json!([]), &json!([]))
        );

        // A window of time: from the second change on, before the last two.
        let at = |page: &Value, position: usize| page["changes"][position]["at"].as_f64().unwrap();
        let query = format!(
            "environment=prod&since={}&until={}",
            at(page, 1),
            at(page, 3)
        );
        let some = read(&server, &format!("/timeline/acme/changes?{query}")).await;
        assert_eq!(
            lines(std::slice::from_ref(&some)),
            ["prod#2 started web:b web@b", "prod#2 exited web:a web@a"]
        );
        assert_eq!(some["environments"][0]["first_snapshot"], 2);
        assert_eq!(some["environments"][0]["last_snapshot"], 2);
        let later = read(
            &server,
            "/timeline/acme/changes?environment=prod&since=9000000000",
        )
        .await;
        assert_eq!(later["environments"][0]["first_snapshot"], Value::Null);
        assert_eq!(later["changes"], json!([]));

        // An archived environment stays told of, and one with as many snapshots as there are
        // keyframes.
        for n in 0..40 {
            let digit = if n % 2 == 0 { 'a' } else { 'b' };
            report(&server, "staging", &[("web", &fp(digit), n)]).await;
        }
        let reply = server
            .put("/api/v2/environments/acme/staging/archive", ADMIN, "")
            .await;
        assert!(reply.status.is_success(), "{}", reply.text());
        let many = pages(&server, "environment=staging", 7).await;
        let told = lines(&many);
        assert_eq!(many[0]["environments"][0]["archived"], true);
        assert_eq!(
            told.len() as u64,
            many[0]["environments"][0]["changes"].as_u64().unwrap()
        );
        assert_eq!(told.len(), 3 + 1 + 3 + 39 * 2, "{told:?}");
    }
}
