//! Whole outputs, kept as snapshots: a change of a text is a visible change.

use crate::environment::World;

#[test]
fn what_is_refused() {
    let world = World::compat();
    insta::assert_snapshot!(world.transcript(
        "
        nope
        list nope
        list --foo
        --foo list environments
        list -o json environments
        get environment
        list environments x
        get environment x --org
        get environment x -a
        get environment x -D
        get environment x --zork
        get environment --org '' --zork
        archive environment x --dry-run=
        archive environment x --dry-run ''
        archive environment x y -D
        archive environment x -D --zork
        archive environment x --zork -D
        create environment x
        create environment x -D=maybe
        create environment x -D --require-provenance --include-scaling
        create environment x --include-scaling --exclude-scaling -t docker
        create environment x --org=-o -D
        list environments --page x
        list environments --page -1
        list environments --page 0
        list environments --type a,,b
        log env x --page-limit 0
        log env x --start-ts abc
        join environment x
        join environment --physical a
        diff snapshots a
        tag
        tag zork x
        tag flow x --set a
        tag flow x --set u=https://h?a=1,2
        tag flow x -u a\"b
        tag flow x --provider p
        tag repo x --provider p --repo-id i
        tag repo x --repo-id i
        tag repo
        fingerprint x
        fingerprint x -t zip
        fingerprint x -t file
        fingerprint . -t file
        fingerprint x -t dir --e foo --registry-provider x
        fingerprint x -t file --registry-username u
        fingerprint x -t docker --registry-username u
        completion foo
        completion
        version x
        config x
        config --config-file x
        snapshot path
        snapshot path e --path fold
        snapshot path e --path nope --name n
        snapshot path e --include-scaling --exclude-scaling
        snapshot server e
        snapshot server e -p 'nofold/*'
        snapshot paths e --paths-file nope.yml
        get snapshot prod@~1
        get snapshot #1
        KOSLI_ORG=- archive environment x
        KOSLI_API_TOKEN=- archive environment x
        KOSLI_PAGE=x KOSLI_PAGE_LIMIT=y list environments
        KOSLI_UNSET=a,,b tag flow f
        KOSLI_DRY_RUN=perhaps tag flow f
        "
    ));
}

#[test]
fn what_is_asked() {
    let world = World::compat();
    insta::assert_snapshot!(world.transcript(
        "
        get environment prod
        get env dev
        get env odd
        get env miss
        get env prod -o json
        get env prod -o yaml
        get environment x -H http://127.0.0.1:1
        list environments
        list environments --org odd
        list environments --org e
        list environments --org e --page 2
        list environments --org p --page 1
        list environments --name a --type K8S,docker --tag a=b,c --tag d --space-id x --sort name --sort-direction desc
        get snapshot prod
        get snapshot prod#8
        get snapshot prod~1
        get snapshot prod@{2.hours.ago}
        list snapshots prod
        list snapshots odd --interval 1..2 --reverse
        list snapshots empty --page 3
        log environment evs
        log env prod --repo a,b --start 1 --end NOW --start-ts 1772359200.5 --end-ts 1e12
        log env empty -o json
        diff snapshots prod#1 prod
        diff snapshots prod#1 prod -u
        diff snapshots a b --org odd
        diff snapshots a b --org z
        search abcde
        search 00000
        search 11111
        status
        assert status
        status -H http://127.0.0.1:1
        assert status -H http://127.0.0.1:1
        TZ=Europe/Berlin get env prod
        TZ=Asia/Kolkata list environments
        "
    ));
}

#[test]
fn what_is_written() {
    let world = World::compat();
    insta::assert_snapshot!(world.transcript(
        "
        create environment x -t docker -d d
        create environment x -t logical --included-environments a,b -D
        create environment x -t K8S --include-scaling -D
        archive environment x
        archive environment x -D
        archive environment bad
        archive environment html
        archive environment nc
        archive environment str
        archive environment five -r 1 --debug
        archive environment conf
        KOSLI_API_TOKEN=DRY_RUN archive environment x
        rename env a b
        rename environment a b --debug -q
        join env --physical a --logical b
        tag flow f --set a=1,2 --set c=
        tag env f --unset z,y --set b=1 --set a=2
        tag env f
        tag repo r --set a=b
        tag repo org/r --set a=b -D
        tag repo noid --set a=b
        snapshot path prod --path fold --name foo
        snapshot path prod --path fold --name foo -x a -D
        snapshot path prod --path fold --name foo -A
        snapshot path miss --path fold -A --name n
        snapshot path miss --path fold -A --name n -D
        snapshot path logi --path fold -A --name n
        snapshot path srv --path fold -A --name n --include-scaling
        snapshot path prod --name n --path fold --environment-description f
        KOSLI_QUIET=true snapshot path prod --name n --path fold --environment-description f
        snapshot server prod -p 'fold/*' --e fold/a
        fingerprint fold -t dir
        fingerprint fold -t dir --debug
        fingerprint fold/a/f -t file
        "
    ));
}

#[test]
fn several_servers_at_once() {
    let world = World::compat();
    insta::assert_snapshot!(world.transcript(
        "
        KOSLI_HOST=SERVER,SERVER KOSLI_API_TOKEN=t,u get env prod
        KOSLI_HOST=SERVER,SERVER KOSLI_API_TOKEN=t,u get env prod --debug
        KOSLI_HOST=SERVER,http://127.0.0.1:1 KOSLI_API_TOKEN=t,u get env prod
        KOSLI_HOST=SERVER,SERVER KOSLI_API_TOKEN=t,u get env miss
        KOSLI_HOST=SERVER,SERVER,x KOSLI_API_TOKEN=t,u get env prod
        KOSLI_HOST=SERVER,SERVER KOSLI_API_TOKEN=t,u archive environment x -D
        "
    ));
}

#[test]
fn what_changed_in_a_system() {
    let world = World::runstone();
    insta::assert_snapshot!(world.transcript(
        "
        log changes --tag system=shop --since 2026-03-01 --tz UTC
        log changes --tag system=shop --since 2026-03-01 --tz UTC -o csv
        log changes --tag system=shop --since 2026-03-01 --tz UTC -o json
        log changes --environment quiet
        log changes --environment gap
        log changes --environment quiet --tag system
        log changes --environment quiet -o xml
        "
    ));
}

#[test]
fn what_only_runstone_does() {
    let world = World::runstone();
    insta::assert_snapshot!(world.transcript(
        "
        create environment x -t docker
        create environment x -t docker --exclude-scaling
        create environment x -t logical
        snapshot path miss --path fold -A --name n
        get snapshot prod@{2026-06-24}
        get snapshot prod@{2026-06-24T18:00:00}
        get snapshot prod@{2026-06-24T18:00:00} --tz Europe/Berlin
        get snapshot 'prod@{last thursday}' --tz Asia/Tokyo
        get snapshot 'prod@{yesterday 18:00}'
        get snapshot 'prod@{soon}'
        get snapshot prod --tz Mars/Base
        diff snapshots 'prod@{3 days ago}' prod
        log env prod --since 2026-11-01 --until 2026-11-20
        log env prod --interval '@{2026-06-24}..NOW'
        list snapshots prod --since 'last monday' --until today
        list snapshots prod --interval 1..2 --since yesterday
        list snapshots prod --since yesterday --interval 1..
        status -H http://127.0.0.1:1
        help nope
        version -s
        KOSLI_ORG=z RUNSTONE_ORG=- list environments
        KOSLI_ORG=z list environments -o json
        "
    ));
}

#[test]
fn reports_say_when_and_by_whom() {
    let world = World::runstone();
    let output = world.run(&["snapshot", "path", "prod", "--path", "fold", "--name", "n"]);
    assert!(output.status.success());
    let headers = world.headers_of_the_last_report();
    assert_eq!(headers["runstone-observed-at"], "1795262400.000000");
    assert_eq!(headers["runstone-sequence"], "1795262400000000");
    assert!(headers["runstone-reporter"].ends_with("/prod"));

    let world = World::compat();
    let output = world.run(&["snapshot", "path", "prod", "--path", "fold", "--name", "n"]);
    assert!(output.status.success());
    let headers = world.headers_of_the_last_report();
    assert!(!headers.keys().any(|name| name.starts_with("runstone-")));
}

#[test]
fn every_process_is_reported_with_its_start() {
    let world = World::runstone();
    let output = world.run(&["snapshot", "processes", "prod"]);
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(" could not be read"), "{said}");
    let requests = world.requests();
    let (_, body) = requests[0].split_once("utf-8] ").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    // This test runs as well.
    let own = std::env::current_exe().unwrap();
    let own = body["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|artifact| artifact["digests"].get(own.to_str().unwrap()).is_some())
        .unwrap();
    assert!(own["creationTimestamp"].as_i64().unwrap() > 1_700_000_000);
}

#[test]
fn the_config_file_is_written_and_read() {
    let mut world = World::runstone();
    for name in ["HOST", "ORG", "API_TOKEN", "MAX_API_RETRIES"] {
        world.unset(&format!("RUNSTONE_{name}"));
    }
    let host = world.host();
    let output = world.run(&[
        "config",
        "--org",
        "o",
        "--api-token",
        "secret",
        "--host",
        &host,
    ]);
    assert!(output.status.success(), "{output:?}");
    let stored = std::fs::read_to_string(world.home().join(".runstone.yml")).unwrap();
    assert!(!stored.contains("secret"), "{stored}");
    let transcript = world.transcript(
        "
        get env dev
        config --set PAGE=2,tz=UTC --unset org
        get env dev
        config --set org=o
        list environments
        RUNSTONE_ORG=e list environments
        ",
    );
    insta::assert_snapshot!(transcript);
}

#[test]
fn a_config_file_is_found_where_the_contract_says() {
    let world = World::compat();
    world.write("c1.yml", "org: e\n");
    world.write("c2.yml", "org: ''\npage: x\n");
    world.write("c3.yml", "a: [\n");
    world.write("c4.toml", "org = \"e\"\napi-token = \"plain\"\n");
    world.write("kosli.yml", "org: e\n");
    insta::assert_snapshot!(world.transcript(
        "
        KOSLI_ORG=- list environments -c c1.yml
        KOSLI_ORG=- KOSLI_CONFIG_FILE=c1.yml list environments
        KOSLI_ORG=- KOSLI_CONFIG_FILE=c1.yml RUNSTONE_CONFIG_FILE=c4.toml KOSLI_API_TOKEN=- list environments
        KOSLI_ORG=- list environments -c c2.yml
        list environments -c c3.yml
        list environments --org e -c nofile.yml --debug
        list environments --org e
        "
    ));
}

#[test]
fn the_local_server_needs_no_set_up() {
    let mut world = World::runstone();
    for name in ["HOST", "ORG", "API_TOKEN"] {
        world.unset(&format!("RUNSTONE_{name}"));
    }
    let folder = world.home().join(".config/runstone");
    std::fs::create_dir_all(&folder).unwrap();
    let local = serde_json::json!({ "host": world.host(), "org": "o", "api_token": "local" });
    std::fs::write(folder.join("local.json"), local.to_string()).unwrap();
    insta::assert_snapshot!(world.transcript(
        "
        get env dev
        get env dev --host SERVER/
        get env dev --org e
        get env dev --host http://127.0.0.1:1
        "
    ));
}

#[test]
fn a_busy_server_is_asked_again() {
    let world = World::compat();
    let path = "/api/v2/environments/o/x/archive";
    let archive = |retries: &str| {
        let output = world.run(&["archive", "environment", "x", "--debug", "-r", retries]);
        let requests = world.requests();
        assert!(requests.iter().all(|request| *request == requests[0]));
        let kept = world.redacted(&String::from_utf8(output.stderr).unwrap());
        (output.status.code(), requests.len(), kept)
    };
    for status in [409, 429, 500, 502, 503, 504] {
        world.refuse(path, status, None, 2);
        let (code, requests, _) = archive("2");
        assert_eq!((code, requests), (Some(0), 3), "{status}");
    }
    for status in [202, 204, 301, 400, 401, 403, 404, 413, 501] {
        world.refuse(path, status, None, 1);
        let (code, requests, _) = archive("2");
        assert_eq!((code, requests), (Some(1), 1), "{status}");
    }
    world.refuse(path, 503, Some(1), 1);
    let began = std::time::Instant::now();
    let (code, _, told) = archive("1");
    assert_eq!(code, Some(0));
    assert!(began.elapsed() >= std::time::Duration::from_secs(1));
    assert!(
        told.contains("(status: 503): retrying in 1s (1 left)"),
        "{told}"
    );
    world.refuse(path, 503, None, 3);
    let (code, requests, told) = archive("1");
    assert_eq!((code, requests), (Some(1), 2));
    assert!(
        told.ends_with("giving up after 2 attempt(s): answer 503\n"),
        "{told}"
    );
}

#[test]
fn output_that_nobody_reads_ends_quietly() {
    let world = World::compat();
    let shell = format!("{} --help | head -1", world.program().display());
    let output = world.run_other(std::path::Path::new("/bin/sh"), &["-c", &shell], &[]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn what_is_stated() {
    let world = World::compat();
    world.make_repository();
    world.write("template.yml", "version: 1\n");
    world.write("data.json", "{\"a\": [1, \"<x>\"]}");
    world.write_all(&[
        ("results/a.xml", include_str!("data/results/a.xml")),
        (
            "results/more/deep.xml",
            include_str!("data/results/more/deep.xml"),
        ),
        ("scan.sarif", include_str!("data/scan.sarif")),
    ]);
    insta::assert_snapshot!(world.transcript(
        "
        create flow f
        create flow f --use-empty-template -D
        create flow f -f template.yml
        create flow f -f nope.yml
        create flow f -f template.yml --use-empty-template
        archive flow f
        rename flow a b -D
        begin trail t --flow f -g v1 --repo-root repo -f template.yml -u data.json -o http://x/y
        begin trail t --flow f -g HEAD --redact-commit-info foo
        begin trail t --flow f --external-url a=b --external-fingerprint c=d
        GITHUB_RUN_NUMBER=1 GITHUB_SHA=nope begin trail t --flow f
        GITHUB_RUN_NUMBER=1 GITHUB_SHA=HEAD GITHUB_SERVER_URL=https://github.com GITHUB_REPOSITORY=acme/shop GITHUB_RUN_ID=7 GITHUB_REPOSITORY_ID=9 attest artifact fold/a/f -t file -f f -T t -n api --repo-root repo
        attest artifact img:1 -F aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -f f -T t -n api -b b -u u --repo-root repo --redact-commit-info author,message,branch -D
        attest artifact x -t file -f f -T t -n api
        attest generic -f f -T t -n api.x -C=false -g HEAD --repo-root repo --annotate a=1 --external-url l=http://x --external-fingerprint l=aa
        attest generic fold/a/f -t file -f f -T t -n x --attachments fold/a/f
        attest generic -f f -T t -n x --attachments fold,data.json
        attest generic -f f -T bad -n x
        attest generic -f f -T t -n x a true
        attest generic -f f -T t -n a.b.c
        attest custom -f f -T t -n x --type cov --attestation-data data.json
        attest decision -f f -T t -n x --control C1 -C
        attest decision -f f -T t -n x --control C1
        attest override -f f -T t -n x --reason r --original-attestation-type snyk --new-compliance-status
        attest junit -f f -T t -n x -R results
        attest snyk -f f -T t -n x -R scan.sarif -D
        attest jira -f f -T t -n x --jira-base-url SERVER --jira-pat p -g HEAD --repo-root repo --assert
        report artifact fold/a/f -t file -f g -g HEAD -b b -u u --repo-root repo
        create attestation-type t -d d -s data.json --jq '.a > 1' --summary 'A = .a'
        create attestation-type t --summary a
        archive attestation-type t
        create control C1 -n a
        update control C1 --link x=y
        archive control C1
        unarchive control C1
        attest
        report
        "
    ));
}

#[test]
fn what_is_asked_of_trails() {
    let world = World::compat();
    insta::assert_snapshot!(world.transcript(
        "
        get flow y
        get flow l
        list flows --org p
        get trail t -f f
        get trail t -f f -o markdown
        get trail bare -f f -o markdown
        list trails
        list trails --org e --page 2
        list trails --flow-tag x
        get artifact f@abc
        get artifact f:c
        get artifact f
        list artifacts -f x
        get attestation x -f f -t t
        get attestation --attestation-id q
        get attestation a
        get attestation-type cov@v2
        list attestation-types
        get control C1
        list controls
        get repo --repo-id i1
        list repos
        list repos --name a --search b
        assert artifact -F aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        assert artifact -F bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb --flow f
        assert artifact a b
        "
    ));
}

#[test]
fn what_older_scripts_do() {
    let mut world = World::compat();
    world.make_repository();
    world.write("data.json", "{\"a\": 1}");
    world.set("KOSLI_REPO_ROOT", "repo").set("KOSLI_FLOW", "f");
    insta::assert_snapshot!(world.transcript(
        "
        request approval fold/a/f -t file -e prod -d 'ready to go'
        request approval fold/a/f -t file --oldest-commit HEAD~2 --newest-commit HEAD -u data.json -D
        report approval fold/a/f -t file -e stage --approver ada
        report approval fold/a/f -t file
        report approval fold/a/f
        report approval -F aa -e prod
        report approval a b -t file -e prod
        assert approval fold/a/f -t file
        assert approval fold/a/f -t file -f g
        assert approval fold/a/f -t file -f h
        assert approval
        expect deployment fold/a/f -t file -e prod -b http://ci/1 -d 'to prod' -u data.json
        expect deployment fold/a/f -t file -e prod -b http://ci/1 -D
        expect deployment fold/a/f -t file
        GITHUB_RUN_NUMBER=1 GITHUB_SERVER_URL=https://github.com GITHUB_REPOSITORY=acme/shop GITHUB_RUN_ID=7 expect deployment fold/a/f -t file -e prod
        "
    ));
}

#[test]
fn what_sonar_tells() {
    let mut world = World::compat();
    world
        .set("KOSLI_FLOW", "f")
        .set("KOSLI_TRAIL", "t")
        .set("KOSLI_NAME", "x");
    world.set("KOSLI_SONAR_API_TOKEN", "k");
    let note = format!(
        "serverUrl={0}\ndashboardUrl={0}/dashboard?id=shop&branch=dev\nceTaskUrl={0}/api/ce/task?id=T1\n",
        world.host()
    );
    world.write_all(&[("work/report-task.txt", &note)]);
    insta::assert_snapshot!(world.transcript(
        "
        attest sonar --sonar-working-dir work
        attest sonar --sonar-ce-task-url SERVER/old/api/ce/task
        attest sonar --sonar-ce-task-url SERVER/sad/api/ce/task
        attest sonar --sonar-ce-task-url SERVER/err/api/ce/task
        attest sonar --sonar-ce-task-url SERVER/api/ce/pending --max-wait 9
        attest sonar --sonar-ce-task-url http://127.0.0.1:1/api/ce/task
        attest sonar --sonar-server-url SERVER/nowhere --sonar-project-key shop --pull-request 1
        "
    ));
}

#[test]
fn a_reader_may_set_the_clock() {
    let mut world = World::runstone();
    world.set("RUNSTONE_NOW", "2026-03-02");
    insta::assert_snapshot!(world.transcript(
        "
        get trail bare -f f
        list flows
        get flow l
        get trail t -f f -o markdown
        attest generic -f f -T t -n x -D --description '<b>'
        RUNSTONE_NOW=2022-09-06T12:00:00+02:00 get attestation --attestation-id q
        RUNSTONE_NOW=yesterday get flow l
        snapshot path prod --path fold --name n
        "
    ));
}

#[test]
fn what_code_hosts_tell() {
    let mut world = World::compat();
    world.make_repository();
    world.set("KOSLI_FLOW", "f").set("KOSLI_TRAIL", "t");
    world.set("KOSLI_NAME", "x").set("KOSLI_REPO_ROOT", "repo");
    insta::assert_snapshot!(world.transcript(
        "
        attest pr azure -g HEAD --azure-token k --azure-org-url SERVER/acme/ --project web --repository web/shop
        attest pr azure -g HEAD --azure-token k --azure-org-url SERVER/acme --project web --repository none --assert
        attest pr azure -g HEAD --azure-token k --azure-org-url SERVER/acme --project web --repository bad
        attest pr bitbucket -g HEAD --bitbucket-access-token k --bitbucket-workspace w --repository r --bitbucket-base-url SERVER
        attest pr bb -g HEAD --bitbucket-username u --bitbucket-password p --bitbucket-workspace w --repository none --bitbucket-base-url SERVER
        attest pr bb -g HEAD --bitbucket-access-token k --bitbucket-workspace w --repository index --bitbucket-base-url SERVER
        attest pr bb -g HEAD --bitbucket-access-token k --bitbucket-workspace w --repository bad --bitbucket-base-url SERVER
        attest pr bb -g HEAD --bitbucket-access-token k --bitbucket-workspace w --repository evil --bitbucket-base-url SERVER
        attest pr github -g HEAD --github-token k --github-org acme --repository shop --github-base-url SERVER/none
        assert pr github --commit abc --github-token k --github-org acme --repository shop --github-base-url SERVER/none
        "
    ));
}
