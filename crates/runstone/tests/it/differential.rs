//! The program under the published client's name against that client itself, over the lines of
//! `data/differential.txt`: same output, same exit code, same requests.
//!
//! Runs when `RUNSTONE_TEST_KOSLI` holds the path of the client, version 2.43.1.

use std::path::Path;
use std::process::Output;

use crate::environment::{World, split};

/// What is left of a run when help texts, lists of commands that are not there yet and printf's
/// marks of missing values are taken out.
#[derive(Debug, PartialEq)]
struct Kept {
    out: String,
    err: String,
    code: Option<i32>,
    requests: Vec<String>,
}

fn kept(world: &World, output: &Output) -> Kept {
    let text = |bytes: &[u8]| {
        world
            .redacted(&String::from_utf8_lossy(bytes))
            .replace("%!s(<nil>)", "")
            .replace("%!d(MISSING)", "%d")
            // Where they link to their pages, we say it.
            .replace("See https://docs.kosli.com/faq/#boolean-flags", "HINT")
            .replace(
                "A boolean flag takes its value with '=': --compliant=false",
                "HINT",
            )
            .lines()
            .filter(|line| !line.starts_with("available subcommands are: "))
            .flat_map(|line| [line, "\n"])
            .collect::<String>()
    };
    let mut out = text(&output.stdout);
    if [
        "Available Commands:",
        "Global Flags:",
        "Global flags:",
        "Commands:",
    ]
    .iter()
    .any(|heading| out.contains(heading))
    {
        "help".clone_into(&mut out);
    }
    Kept {
        out,
        err: text(&output.stderr),
        code: output.status.code(),
        requests: world.requests(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test is told where the other program is"
)]
#[test]
fn the_published_client_says_the_same() {
    let Ok(client) = std::env::var("RUNSTONE_TEST_KOSLI") else {
        return;
    };
    let world = World::compat_now();
    world.make_repository();
    world.write("template.yml", "version: 1\ntrail:\n  attestations: []\n");
    world.write_all(&[
        ("results/a.xml", include_str!("data/results/a.xml")),
        (
            "results/more/deep.xml",
            include_str!("data/results/more/deep.xml"),
        ),
        (
            "results/more/pom.xml",
            include_str!("data/results/more/pom.xml"),
        ),
        (
            "both/a.xml",
            "<testsuite timestamp=\"2026-03-01T10:00:00\"><properties/><testcase/></testsuite>",
        ),
        (
            "utf16/a.xml",
            "<?xml version=\"1.0\" encoding=\"UTF-16\"?><testsuite/>",
        ),
        (
            "bom.json",
            "{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"metadata\":{\"timestamp\":\"2026-03-01T10:00:00+01:00\",\"tools\":{\"components\":[{\"name\":\"trivy\",\"version\":\"0.5\"},{\"name\":\"nover\"}],\"services\":[{\"name\":\"svc\",\"version\":\"2\"}]},\"component\":{\"name\":\"shop\",\"purl\":\"pkg:oci/shop\"}},\"components\":[{\"name\":\"a\",\"components\":[{\"name\":\"n\"}]},{\"type\":\"file\",\"name\":\"f\"}]}",
        ),
        (
            "bom.xml",
            "<bom xmlns=\"http://cyclonedx.org/schema/bom/1.5\"><metadata><timestamp>2026-03-01T10:00:00Z</timestamp><tools><tool><vendor>v</vendor><name>syft</name><version>1.0</version></tool></tools><component type=\"container\"><name>shop</name><version>1</version></component></metadata><components><component type=\"library\"><name>a</name></component></components></bom>",
        ),
        (
            "spdx.json",
            "{\"spdxVersion\":\"SPDX-2.3\",\"dataLicense\":\"CC0-1.0\",\"SPDXID\":\"SPDXRef-DOCUMENT\",\"name\":\"shop\",\"documentNamespace\":\"https://x/1\",\"creationInfo\":{\"created\":\"2026-03-01T10:00:00Z\",\"creators\":[\"Tool: syft-1.0\",\"Organization: Anchore\"]},\"packages\":[{\"SPDXID\":\"SPDXRef-a\",\"name\":\"a\",\"versionInfo\":\"1\"},{\"SPDXID\":\"SPDXRef-b\",\"name\":\"b\"}],\"relationships\":[{\"spdxElementId\":\"SPDXRef-DOCUMENT\",\"relationshipType\":\"DESCRIBES\",\"relatedSpdxElement\":\"SPDXRef-a\"}]}",
        ),
        (
            "x.spdx",
            "SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: shop\nCreator: Tool: syft-1.0\nCreated: 2026-03-01T10:00:00Z\nPackageName: a\nSPDXID: SPDXRef-a\nPackageVersion: 1\nRelationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-a\n",
        ),
        ("scan.sarif", include_str!("data/scan.sarif")),
        (
            "norule.sarif",
            &include_str!("data/scan.sarif").replace("\"level\":\"warning\",", ""),
        ),
    ]);
    world.write("data.json", "{\"a\": [1, \"<x>\"], \"b\": null}");
    world.write("c1.yml", "org: o\n");
    world.write("c3.yml", "org: ''\n");
    world.write("c4.yml", "page: x\norg: o\n");
    world.write("c5.json", "{\"ORG\":\"o\"}");
    world.write("c6.toml", "org = \"o\"\n");
    world.write(
        "paths.yml",
        "version: 1\nartifacts:\n  web:\n    path: fold\n    exclude: [a]\n",
    );
    world.write(
        "nopath.yml",
        "version: 1\nartifacts:\n  web:\n    path: nope\n",
    );
    let mut differing = Vec::new();
    let mut lines = 0;
    for line in include_str!("data/differential.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        lines += 1;
        let (may_differ, words) = match line.strip_prefix("~ ") {
            Some(words) => (true, words),
            None => (false, line),
        };
        let (extra, words) = split(&world.filled(words));
        let theirs = kept(&world, &world.run_other(Path::new(&client), &words, &extra));
        let ours = kept(&world, &world.run_with(&words, &extra));
        if (theirs == ours) == may_differ {
            differing.push(format!("{line}\n  theirs {theirs:#?}\n  ours {ours:#?}"));
        }
    }
    assert!(lines > 200, "the file was read");
    assert!(
        differing.is_empty(),
        "{} of {lines} lines are not as expected:\n{}",
        differing.len(),
        differing.join("\n")
    );
}

/// A small generator of repeatable random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // Constants of Knuth's MMIX generator; the high bits are the random ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// A random line: a command, mostly with its own flags, and values that mean something somewhere.
fn random_words(random: &mut Random) -> Vec<String> {
    const COMMANDS: [(&str, &str); 43] = [
        ("get environment", "-o --output"),
        ("get snapshot", "-o"),
        (
            "list environments",
            "--name --type --tag --sort --page -n --page-limit -o --space-id",
        ),
        ("list snapshots", "-i --interval --reverse --page -n -o"),
        (
            "log env",
            "-i --reverse --repo --start --end --start-ts --end-ts --page",
        ),
        ("archive environment", "-D --dry-run"),
        ("rename env", "-D"),
        ("join environment", "--physical --logical -D"),
        (
            "create environment",
            "-t --type -d --included-environments --include-scaling --exclude-scaling --require-provenance -D",
        ),
        ("tag", "-s --set -u --unset --provider --repo-id -D"),
        ("search", "-o"),
        ("diff snapshots", "-u --show-unchanged -o"),
        (
            "fingerprint",
            "-t -x -e --e --registry-username --registry-password",
        ),
        ("status", "--assert"),
        ("assert status", "-q"),
        ("snapshot path", "--path --name -x -D -A"),
        ("snapshot server", "-p --paths -x --e -D"),
        ("snapshot", "-A"),
        ("list", "-q"),
        (
            "create flow",
            "--description -f --template-file --use-empty-template -t --template --visibility -D",
        ),
        ("get flow", "-o"),
        ("list flows", "-N --name -i --ignore-case --page -n -o"),
        ("rename flow", "-D"),
        (
            "begin trail",
            "--flow --description -f -u -g --commit --redact-commit-info --repo-root -o --external-url --external-fingerprint --repo-id --repository --repo-url --repo-provider -D",
        ),
        ("get trail t", "-f --flow -o"),
        ("list trails", "-f -F -t --flow-tag --page -n -o"),
        (
            "attest artifact",
            "-f -T -n --name -F -N -g -b -u --redact-commit-info --repo-root --external-url --annotate -t -x -D",
        ),
        (
            "attest generic -f f -T t -n x",
            "-F -g --redact-commit-info -o --external-url --external-fingerprint --annotate -u --attachments --repo-root --description --repo-id --repository --repo-url -t -x -C --compliant -D",
        ),
        (
            "attest generic",
            "-f -T -n -F -t -C --annotate --registry-username --registry-password",
        ),
        ("attest custom -f f -T t", "-n --type --attestation-data -D"),
        ("attest decision -f f", "-T -n --control -C --compliant -D"),
        (
            "attest override -f f -T t",
            "-n --reason --original-attestation-type --new-compliance-status -D",
        ),
        (
            "attest junit -f f -T t -n x",
            "-R --upload-results --attachments -D",
        ),
        ("get artifact", "-t -o"),
        ("list artifacts", "-f --repo --page -n -o"),
        ("get attestation", "-f -t -F --attestation-id -o"),
        (
            "create attestation-type",
            "-d -s --jq --summary --summary-json -D",
        ),
        ("get attestation-type", "-o"),
        ("create control", "-n -d -D"),
        ("update control", "-n -d --link -D"),
        (
            "list controls",
            "--search --tag --archived --sort-direction --page -o",
        ),
        (
            "list repos",
            "--name --search --provider --repo-id --sort-direction --tag --page",
        ),
        ("report artifact", "-f -g -b -u -F -n -t --repo-root -D"),
    ];
    const GLOBAL: &str = "--org -a --api-token --debug -q --quiet -r --zork -Z -h --help";
    const VALUES: &str = "x prod dev 1 2 0 -1 true false a=b a=b,c=d a,b a,,b \" \"a\" a\"b \"a,b\",c docker json table file dir fold prod#8 flow env repo TRUE t 1.5 = - a= =a k=v=w 0x10 1e3 prod~1 \"abc 3 repo HEAD f t f@abc f:c x@v1 nope";
    let (command, own) = COMMANDS[random.below(COMMANDS.len())];
    let own: Vec<&str> = own.split(' ').collect();
    let global: Vec<&str> = GLOBAL.split(' ').collect();
    let values: Vec<&str> = VALUES.split(' ').collect();
    let mut words: Vec<String> = command.split(' ').map(str::to_owned).collect();
    for _ in 0..random.below(5) {
        if random.below(2) == 0 {
            words.push(random.one(&values).to_owned());
            continue;
        }
        let flags = if random.below(4) == 0 { &global } else { &own };
        let flag = random.one(flags);
        match random.below(4) {
            0 => words.push(flag.to_owned()),
            1 => words.push(format!("{flag}={}", random.one(&values))),
            _ => words.extend([flag.to_owned(), random.one(&values).to_owned()]),
        }
    }
    words
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test is told where the other program is"
)]
#[test]
fn the_published_client_says_the_same_to_random_lines() {
    let Ok(client) = std::env::var("RUNSTONE_TEST_KOSLI") else {
        return;
    };
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
    };
    let seed = number("RUNSTONE_TEST_SEED", 1);
    let count = number("RUNSTONE_TEST_LINES", 150);
    let world = World::compat_now();
    world.make_repository();
    let mut random = Random(seed);
    for _ in 0..count {
        let words = random_words(&mut random);
        let theirs = kept(&world, &world.run_other(Path::new(&client), &words, &[]));
        // It crashes on some answers, and does not know lists from objects.
        if theirs.code == Some(2) || theirs.err.contains("cannot unmarshal") {
            continue;
        }
        // Nor what is not there, such as the number of a page.
        if theirs.out.contains("<nil>") || theirs.out.contains("page number 0") {
            continue;
        }
        let ours = kept(&world, &world.run_with(&words, &[]));
        assert_eq!(theirs, ours, "seed {seed}: {words:?}");
    }
}
