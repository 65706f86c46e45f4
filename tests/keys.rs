//! No key of the profile language is accepted and ignored: each one, and each word that a key takes, changes what is described, what
//! is planned and, where something is enforced by it, what the receipt says. A key that is new fails here until it is thought of.

#[path = "common/debian.rs"]
mod debian;

use debian::{debian, vars};
use sbx::host::{
    CgroupFacts, Facts, Hierarchy, JoinedFacts, Manager, NamedFacts, NetworkFacts, ScopeManager, UnionFacts,
};
use sbx::plan::{self, Plan, Receipt};
use sbx::profile::schema::{DEVICES, KEYS, Key, Kind, MODES, PATH_OPTIONS, Target};
use sbx::profile::{Failed, Loader, Merged, resolve};
use sbx::spec::limits::Form;
use sbx::spec::{Mode, Namespace, Sandbox};

/// Keys that are about the file and not about the sandbox: `Loader` reads them.
const OF_THE_FILE: [&str; 4] = ["schema", "extends", "description", "profile.programs"];

/// Keys that `sbx selftest` reads from the `Sandbox`; a plan has nothing to do for them.
const NOT_PLANNED: [&str; 3] = ["assert.cannot_read", "assert.cannot_write", "assert.cannot_reach"];

/// Keys by which the program is given something. The receipt says what is enforced.
const NOT_IN_RECEIPT: [&str; 7] = [
    "filesystem.arguments",
    "filesystem.home",
    "process.args",
    "process.cwd",
    "process.env",
    "process.env_pass",
    "process.tty",
];

/// A host that has everything that a profile can ask for.
fn host() -> Facts {
    let all = "cpuset cpu io memory hugetlb pids rdma misc".split(' ').map(str::to_owned).collect::<Vec<_>>();
    let manager = Manager {
        dir: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service".into(),
        address: "/run/user/1000/systemd/private".into(),
        user: true,
        controllers: all.clone(),
    };
    let disk = |path: &str, number: &str| (path.into(), Ok(number.to_owned()));
    let cgroup = CgroupFacts {
        hierarchy: Hierarchy::Unified,
        own: "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope".into(),
        kernel: all,
        manager: ScopeManager::Available(manager),
        pages: vec!["2MB".into(), "1GB".into()],
        devices: [disk("/usr", "8:0"), disk("/var", "8:16")].into(),
        ..CgroupFacts::default()
    };
    let mut facts = Facts { kernel: (6, 12), landlock: Some(6), cgroup: Some(cgroup), ..debian() };
    facts.union =
        Some(UnionFacts { store: "/home/alice/.local/share/sbx/uppers".into(), fuse: true, ..UnionFacts::default() });
    let mut one = NamedFacts::imagined("one", "10.89.0.0/24".parse().unwrap(), false);
    let (subnet, gateway) = ("fd12::/64".parse().unwrap(), "fd12::1".parse().unwrap());
    one.network.v6 = Some(sbx::spec::Range6 { subnet, gateway });
    facts.network = Some(NetworkFacts { named: Some(Ok(one)), ..facts.network.unwrap_or_default() });
    let joined = Ok(JoinedFacts { number: 7, user: 8, ids: (1000, 1000), nests: true, ..JoinedFacts::default() });
    facts.joined = [(Namespace::Ipc, joined.clone()), (Namespace::Uts, joined)].into();
    // A file that the view does not show is named as an argument.
    facts.paths.name_program("/home/alice/Documents/tool");
    facts.paths.name("/home/alice/Documents/letter.txt", true);
    facts
}

/// What comes of a profile with these lines, stage by stage.
struct Stages {
    sandbox: Sandbox,
    plan: Plan,
    receipt: Receipt,
}

/// The sandbox of a text. The lines that a test compares stand at the same place, so that origins tell nothing apart.
fn described(text: &str, facts: &Facts) -> Sandbox {
    let mut loader = Loader::new(Vec::new());
    let mut merged = Merged::default();
    loader.profile("base/host").into_iter().for_each(|layer| merged.apply(layer));
    let layer = loader.text("test", text);
    merged.apply(layer);
    assert_eq!(loader.errors, [], "{text}");
    let sandbox = resolve::sandbox(&merged, &loader.sources, &vars(facts)).unwrap_or_else(|diagnostics| {
        panic!("{text}\n{}", Failed { diagnostics, sources: loader.sources.clone() }.render(false))
    });
    // Origins are recorded for every key, whether anything reads it or not.
    let mut sandbox = Sandbox { origins: Default::default(), ..sandbox };
    if sandbox.process.args.is_empty() {
        sandbox.process.args = vec!["program".into()];
    }
    sandbox
}

/// The whole way.
fn stages(text: &str) -> Stages {
    let facts = host();
    let sandbox = described(text, &facts);
    let plan = plan::plan(&sandbox, &facts).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let receipt = plan::receipt(&sandbox, &plan);
    Stages { sandbox, plan, receipt }
}

/// Two values of a key that must not mean the same, and what has to be said besides for them to have a meaning.
fn values(key: &Key) -> (Vec<String>, &'static str) {
    let overlay = "filesystem.paths = { \"/usr/lib\" = \"overlay\" }\n";
    let filter = "dbus.session.policy = \"filter\"\n";
    let arch = if cfg!(target_arch = "x86_64") { "[\"native\", \"x86\"]" } else { "[\"native\", \"arm\"]" };
    let (values, besides): ([&str; 2], &str) = match (key.name, key.target, key.kind) {
        ("network.ask", ..) => (["true", "false"], "network.mode = \"private\"\n"),
        (_, _, Kind::Switch) => (["true", "false"], ""),
        (_, _, Kind::SwitchOr(words)) => {
            let words = words.iter().map(|word| format!("{word:?}"));
            return (["true", "false"].map(String::from).into_iter().chain(words).collect(), "");
        }
        ("network.helper" | "network.on_helper_death", _, Kind::Word(words)) => {
            return (words.iter().map(|word| format!("{word:?}")).collect(), "network.mode = \"private\"\n");
        }
        ("security.landlock_tcp", _, Kind::Word(words)) => {
            let besides = "network.mode = \"private\"\nnetwork.allow = [\"192.0.2.1:443/tcp\"]\n";
            return (words.iter().map(|word| format!("{word:?}")).collect(), besides);
        }
        ("filesystem.mechanism", _, Kind::Word(words)) => {
            return (words.iter().map(|word| format!("{word:?}")).collect(), overlay);
        }
        (_, _, Kind::Word(words)) => return (words.iter().map(|word| format!("{word:?}")).collect(), ""),
        ("namespaces.ipc" | "namespaces.uts", ..) => (["\"private\"", "\"join:4242\""], ""),
        // Another sandbox is there only while it runs.
        (_, _, Kind::WordOr(words, _)) => return (words.iter().map(|word| format!("{word:?}")).collect(), ""),
        (_, Target::Rlimit, _) => (["10", "\"10:20\""], ""),
        (_, Target::Limit(control), _) => match control.form {
            Form::Bytes | Form::Count | Form::Weight => (["10", "20"], ""),
            Form::Cpu => (["\"50%\"", "\"100%\""], ""),
            Form::Set => (["\"0\"", "\"1\""], ""),
            Form::Rates => (["{ \"/usr\" = \"rbps=1M\" }", "{ \"/var\" = \"rbps=1M\" }"], ""),
            Form::Latency => (["{ \"/usr\" = \"10\" }", "{ \"/var\" = \"10\" }"], ""),
            Form::Pages => (["{ 2MB = \"4M\" }", "{ 1GB = \"4M\" }"], ""),
            Form::Switch => unreachable!("a switch, above"),
        },
        ("process.args", ..) => (["[\"a\"]", "[\"b\"]"], ""),
        ("process.cwd", ..) => (["\"/usr\"", "\"/var\""], ""),
        ("process.hostname" | "process.domainname", ..) => (["\"a\"", "\"b\""], ""),
        ("process.user", ..) => (["\"root\"", "\"range\""], ""),
        ("process.env", ..) => (["{ A = \"1\" }", "{ A = \"2\" }"], ""),
        ("process.env_pass", ..) => (["[\"SSH_AUTH_SOCK\"]", "[\"NOT_SET\"]"], ""),
        ("process.timeout", ..) => (["\"1s\"", "\"2s\""], ""),
        ("namespaces.share", ..) => (["[\"ipc\"]", "[\"pid\"]"], ""),
        ("filesystem.root", ..) => (["\"host\"", "\"empty\""], ""),
        ("filesystem.home", ..) => (["\"tmpfs\"", "\"private:a\""], ""),
        ("filesystem.upper", ..) => (["\"discard\"", "\"keep:a\""], overlay),
        ("filesystem.upper_size", ..) => (["10", "20"], overlay),
        ("filesystem.memory", ..) => (["\"64M\"", "\"128M\""], ""),
        ("filesystem.paths", ..) => (["{ \"/usr/lib\" = \"masked\" }", "{ \"/usr/lib\" = \"deny\" }"], ""),
        ("network.dns", ..) => (["\"none\"", "[\"9.9.9.9\", \"2620:fe::fe\"]"], "network.mode = \"private\"\n"),
        ("network.allow", ..) => (["[\"internet\"]", "[\"192.0.2.1:443/tcp\"]"], "network.mode = \"private\"\n"),
        ("network.deny", ..) => (["[\"private\"]", "[\":53/udp\"]"], "network.mode = \"private\"\n"),
        ("network.publish", ..) => (["[\"8080:80\"]", "[\"8080:81\"]"], "network.mode = \"private\"\n"),
        ("network.ip6", ..) => (["\"fd12::7\"", "\"fd12::8\""], "network.mode = \"net:one\"\n"),
        ("network.aliases", ..) => (["[\"a\"]", "[\"b\"]"], "network.mode = \"net:one\"\n"),
        ("network.forward", ..) => (["[5432]", "[\"5432:5433/udp\"]"], "network.mode = \"private\"\n"),
        ("devices.allow", ..) => (["[\"gpu\"]", "[\"audio\"]"], ""),
        ("security.capabilities", ..) => (["[\"CAP_NET_RAW\"]", "[\"CAP_KILL\"]"], ""),
        ("security.syscalls.allow" | "security.syscalls.deny", ..) => (["[\"chmod\"]", "[\"ptrace\"]"], ""),
        ("security.syscalls.errno", ..) => (["\"EACCES\"", "\"ENOSYS\""], ""),
        ("security.arch", ..) => (["[\"native\"]", arch], ""),
        ("desktop.sound", ..) => (["[\"play\"]", "[\"play\", \"record\"]"], ""),
        ("desktop.portals", ..) => (["[\"open-uri\"]", "[\"open-uri\", \"print\"]"], filter),
        ("services.ssh-agent-keys", ..) => (["[\"work\"]", "[\"home\"]"], "services.ssh-agent = true\n"),
        ("dbus.session.own" | "dbus.session.talk" | "dbus.session.see", ..) => {
            (["[\"org.x.A\"]", "[\"org.x.B\"]"], filter)
        }
        ("dbus.session.call" | "dbus.session.broadcast", ..) => (["[\"org.x.A=*\"]", "[\"org.x.B=*\"]"], filter),
        ("assert.cannot_reach", ..) => (["[\"127.0.0.1:1\"]", "[\"127.0.0.1:2\"]"], ""),
        ("assert.cannot_read" | "assert.cannot_write", ..) => (["[\"/usr\"]", "[\"/var\"]"], ""),
        (name, ..) => panic!("`{name}` is new: which two values of it differ, and in what?"),
    };
    (values.map(str::to_owned).to_vec(), besides)
}

#[test]
fn every_key_changes_the_sandbox_the_plan_and_the_receipt() {
    let mut wrong = Vec::new();
    for key in KEYS.iter().filter(|key| !OF_THE_FILE.contains(&key.name)) {
        let (values, besides) = values(key);
        let line = |value: &String| format!("{} = {value}\n{besides}", key.name);
        let seen: Vec<_> = values.iter().map(|value| stages(&line(value))).collect();
        let absent = stages(&format!("\n{besides}"));
        let mut expect = |met: bool, what: String| {
            if !met {
                wrong.push(format!("{}: {what}", key.name));
            }
        };
        for (index, one) in seen.iter().enumerate() {
            let others = || seen.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
            let value = &values[index];
            let told_apart = others().all(|other| other.sandbox != one.sandbox);
            expect(told_apart, format!("{value} describes the sandbox that another value does"));
            let planned = others().any(|other| other.plan != one.plan);
            expect(planned != NOT_PLANNED.contains(&key.name), format!("{value} in the plan: {planned}"));
        }
        let told = seen.iter().any(|one| one.receipt.lines != absent.receipt.lines);
        let silent = NOT_PLANNED.contains(&key.name) || NOT_IN_RECEIPT.contains(&key.name);
        expect(told != silent, format!("in the receipt: {told}"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Lists of one item each, and an empty one.
fn one_of(items: &[impl std::fmt::Debug]) -> Vec<String> {
    std::iter::once("[]".to_owned()).chain(items.iter().map(|item| format!("[{item:?}]"))).collect()
}

/// A word that is read as if it were not there would be as bad as a key.
#[test]
fn every_item_that_a_key_knows_changes_the_sandbox() {
    let facts = host();
    let differ = |key: &str, values: Vec<String>, besides: &str| {
        let seen: Vec<_> =
            values.iter().map(|value| described(&format!("{key} = {value}\n{besides}"), &facts)).collect();
        for (index, one) in seen.iter().enumerate() {
            for (other, two) in seen.iter().enumerate().skip(index + 1) {
                assert_ne!(one, two, "{key}: {} and {}", values[index], values[other]);
            }
        }
    };
    for key in KEYS {
        // `net` is shared together with `network.mode`, which says the same.
        if let Kind::Words(words) = key.kind {
            let words: Vec<_> = words.iter().copied().filter(|word| *word != "net").collect();
            differ(key.name, one_of(&words), "dbus.session.policy = \"filter\"\n");
        }
    }
    let devices: Vec<_> = DEVICES.iter().map(|name| format!("{name},optional")).collect();
    differ("devices.allow", one_of(&devices), "");
    let paths = |modes: Vec<String>| modes.iter().map(|mode| format!("{{ \"/usr/lib\" = {mode:?} }}")).collect();
    differ("filesystem.paths", paths(MODES.iter().map(|mode| (*mode).to_owned()).collect()), "");
    let option = |option: &&str| match *option {
        "size=" => "tmpfs,size=1M".to_owned(),
        "from=" => "rw,from=/var".to_owned(),
        option => format!("rw,{option}"),
    };
    let plain = ["rw", "tmpfs"].map(String::from);
    differ("filesystem.paths", paths(plain.into_iter().chain(PATH_OPTIONS.iter().map(option)).collect()), "");
}

/// The words of the language stand in one place each, and nothing is left out on either side.
#[test]
fn words_are_those_of_what_they_stand_for() {
    let sorted = |words: &mut dyn Iterator<Item = &'static str>| {
        let mut words: Vec<_> = words.collect();
        words.sort_unstable();
        words
    };
    assert_eq!(sorted(&mut MODES.iter().copied()), sorted(&mut Mode::ALL.iter().map(|mode| mode.word())));
    let namespaces = KEYS.iter().find(|key| key.name == "namespaces.share").unwrap();
    let Kind::Words(words) = namespaces.kind else { panic!("{namespaces:?}") };
    assert_eq!(sorted(&mut words.iter().copied()), sorted(&mut Namespace::ALL.iter().map(|ns| ns.word())));
}

/// Which keys they are is told by their table, so that a key there cannot be one that nothing reads.
#[test]
fn limits_and_rlimits_say_where_they_are_written() {
    let switches = ["limits.delegate", "limits.cgroupfs"];
    for key in KEYS.iter().filter(|key| !switches.contains(&key.name)) {
        let table = key.name.split('.').next().unwrap();
        match key.target {
            Target::Limit(control) => assert!(table == "limits" && !control.file.is_empty(), "{}", key.name),
            Target::Rlimit => assert_eq!(table, "rlimits", "{}", key.name),
            Target::Field => assert!(!["limits", "rlimits"].contains(&table), "{} is written nowhere", key.name),
        }
    }
}
