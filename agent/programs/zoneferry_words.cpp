#include "agent/programs/zoneferry_words.h"

#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <optional>

#include "core/base/text.h"
#include "core/packages/update_plan.h"

namespace zoneferry {
namespace {

// "200M", "1.5G" is not taken; K, M, G are powers of 1024, as in rsync and pct.
std::optional<std::uint64_t> parse_rate(const std::string& text) {
    static const std::map<char, std::uint64_t> kUnits{{'K', 1ULL << 10U}, {'M', 1ULL << 20U}, {'G', 1ULL << 30U}};
    if (text.empty()) return std::nullopt;
    const auto unit = kUnits.find(text.back());
    const std::string_view digits = std::string_view(text).substr(0, text.size() - (unit == kUnits.end() ? 0 : 1));
    const auto number = parse_number<std::uint64_t>(digits);
    if (!number || *number == 0 || *number > (1ULL << 40U)) return std::nullopt;
    return unit == kUnits.end() ? *number : *number * unit->second;
}

void add_move_words(CLI::App& verb, Words& words) {
    verb.add_option("ZONE", words.zone, "the zone")->required();
    verb.add_option("HOST", words.host, "the host that shall take it (zoneferry trust list)")->required();
    CLI::Option* update = verb.add_flag("-u", words.update, "update the packages that the zone depends on");
    CLI::Option* all = verb.add_flag("-U", words.update_all, "update every package of the zone that HOST has newer");
    CLI::Option* force = verb.add_flag("-F,--force", words.force, "do not compare packages");
    verb.add_option("--shared", words.shared, "storage that both hosts have: auto (default), require or never")
        ->check(CLI::IsMember({"auto", "require", "never"}));
    update->excludes(all)->excludes(force);
    all->excludes(force);
    verb.add_option("--verify", words.verify, "what is compared after the last pass: full, meta or off")
        ->check(CLI::IsMember({"full", "meta", "off"}));
}

// The invitation is a secret: it is read from stdin, never taken from the command line where ps shows it.
Result<std::string> read_invitation() {
    if (::isatty(STDIN_FILENO) == 1) std::cerr << "the line that `zoneferry trust invite` printed: ";
    std::string line;
    std::getline(std::cin, line);
    if (line.empty()) return Error(Errc::usage, "no invitation on standard input");
    return line;
}

// "30s", "500ms", "2m", "1h", or seconds; empty: 0.
Result<std::int64_t> duration_of(const std::string& text, const std::string& option) {
    static const std::map<std::string, std::int64_t> kUnits{
        {"ms", 1}, {"", 1'000}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}};
    if (text.empty()) return std::int64_t{0};
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_number<std::uint32_t>(std::string_view(text).substr(0, digits));
    const auto unit = kUnits.find(text.substr(digits));
    if (number && *number > 0 && unit != kUnits.end() && *number <= 86'400'000 / unit->second) {
        return std::int64_t{*number} * unit->second;
    }
    return Error(Errc::usage, option + " takes a time up to a day, such as 500ms, 30s or 2m");
}

Result<Json> resolve_request(const Words& words) {
    if (words.reclaim == words.adopt) return Error(Errc::usage, "resolve takes --reclaim or --adopt");
    return Json{{"verb", "resolve"},
                {"move", words.move},
                {"word", words.adopt ? "adopt" : "reclaim"},
                {"fenced", words.fenced},
                {"yes", words.yes}};
}

Result<Json> push_request(const Words& words) {
    const std::size_t colon = words.place.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == words.place.size())
        return Error(Errc::usage, "p2v push takes HOST:ZONE, a host that is trusted and a zone configured there");
    Json request{{"verb", "p2v-push"},
                 {"host", words.place.substr(0, colon)},
                 {"zone", words.place.substr(colon + 1)},
                 {"preserve", words.preserve},
                 {"unconfigure", words.unconfigure},
                 {"delete_containers", words.delete_containers},
                 {"forget", words.forget}};
    if (words.bwlimit.empty()) return request;
    const auto rate = parse_rate(words.bwlimit);
    if (!rate) return Error(Errc::usage, "--bwlimit takes bytes per second, such as 500K, 20M or 1G");
    request["bytes_per_second"] = *rate;
    return request;
}

Result<Json> limit_request(const Words& words) {
    const auto rate = words.bwlimit == "none" ? std::optional<std::uint64_t>(0) : parse_rate(words.bwlimit);
    if (!rate) return Error(Errc::usage, "limit takes bytes per second, such as 500K, 20M or 1G, or none");
    return Json{{"verb", "limit"}, {"move", words.move}, {"bytes_per_second", *rate}};
}

}  // namespace

Result<Json> request_of(const CLI::App& app, const Words& words) {
    if (app.got_subcommand("trust")) {
        const CLI::App* trust = app.get_subcommand("trust");
        if (trust->got_subcommand("init")) return Json{{"verb", "trust-init"}};
        if (trust->got_subcommand("list")) return Json{{"verb", "trust-list"}};
        if (trust->got_subcommand("remove")) return Json{{"verb", "trust-remove"}, {"host", words.host}};
        if (trust->got_subcommand("rights")) {
            return Json{{"verb", "trust-rights"},
                        {"host", words.host},
                        {"send", words.may_send},
                        {"receive", words.may_receive}};
        }
        if (trust->got_subcommand("invite")) {
            return Json{{"verb", "trust-invite"}, {"host", words.host}, {"ttl_s", words.ttl_minutes * 60}};
        }
        ZF_TRY(const std::string invitation, read_invitation());
        return Json{{"verb", "trust-join"}, {"invitation", invitation}};
    }
    const std::string verb = app.get_subcommands().front()->get_name();
    if (verb == "p2v") return push_request(words);
    if (verb == "list") return Json{{"verb", "status"}};
    if (verb == "version") return Json{{"verb", "version"}, {"host", words.peer}};
    if (verb == "history") return Json{{"verb", "history"}, {"zone", words.zone}};
    if (verb == "gc") return Json{{"verb", "gc"}, {"dry_run", words.dry_run}};
    if (verb == "report") return Json{{"verb", "report"}, {"move", words.move}, {"both", words.both}};
    if (verb == "rollback") return Json{{"verb", "rollback"}, {"move", words.move}, {"discard", words.discard}};
    if (verb == "resolve") return resolve_request(words);
    if (verb == "switch") {
        ZF_TRY(const std::int64_t budget_ms, duration_of(words.max_downtime, "--max-downtime"));
        return Json{{"verb", "switch"}, {"move", words.move}, {"max_downtime_ms", budget_ms}};
    }
    if (verb == "limit") return limit_request(words);
    if (verb != "check" && verb != "move") return Json{{"verb", verb}, {"move", words.move}};
    Json request{{"verb", verb == "check" || words.dry_run ? "check" : "move"},
                 {"zone", words.zone},
                 {"host", words.host},
                 {"force", words.force},
                 {"shared", words.shared},
                 {"update", update_scope_name(words.update_all ? UpdateScope::everything
                                              : words.update   ? UpdateScope::dependent
                                                               : UpdateScope::none)},
                 {"cold", words.cold},
                 {"verify", words.verify},
                 {"remove_source", words.remove}};
    if (!words.bwlimit.empty()) {
        const auto rate = parse_rate(words.bwlimit);
        if (!rate) return Error(Errc::usage, "--bwlimit takes bytes per second, such as 500K, 20M or 1G");
        request["bytes_per_second"] = *rate;
    }
    if (words.probe != "none") request["probe"] = words.probe;
    ZF_TRY(const std::int64_t budget_ms, duration_of(words.max_downtime, "--max-downtime"));
    ZF_TRY(const std::int64_t limit_ms, duration_of(words.probe_limit, "--probe-timeout"));
    request["max_downtime_ms"] = budget_ms;
    request["probe_limit_ms"] = limit_ms;
    request["no_switch"] = words.no_switch;
    request["rollback_on_failed_probe"] = words.rollback_on_failed_probe;
    return request;
}

namespace {

void add_steering(CLI::App& move, Words& words) {
    move.add_flag("--no-switch", words.no_switch, "send everything, then wait for `zoneferry switch`");
    move.add_option("--max-downtime", words.max_downtime, "do not halt the zone for longer (500ms, 30s, 2m)");
    move.add_option("--probe", words.probe, "after the boot: tcp:PORT, cmd:COMMAND in the zone, or none");
    move.add_option("--probe-timeout", words.probe_limit, "how long the probe may take to succeed (default 30s)");
    move.add_flag("--rollback-on-failed-probe", words.rollback_on_failed_probe,
                  "bring the zone back when it does not boot there or the probe fails");
}

void add_words_of_persons(CLI::App& app, Words& words) {
    const auto with_move = [&](const char* name, const char* text) {
        CLI::App* verb = app.add_subcommand(name, text);
        verb->add_option("MOVE", words.move, "a move's id or a zone's name")->required();
        return verb;
    };
    with_move("pause", "stop the passes of a move; the zone goes on running here");
    with_move("resume", "go on with a paused move");
    with_move("switch", "halt the zone of a waiting move and hand it over")
        ->add_option("--max-downtime", words.max_downtime, "but do not halt it for longer (500ms, 30s, 2m)");
    with_move("rollback", "bring a moved zone back, with what it wrote since")
        ->add_flag("--discard", words.discard, "take the copy kept at home; what it wrote since is lost");
    with_move("report", "all that the journal says of a move")
        ->add_flag("--both", words.both, "what the other host's journal says, too");
    CLI::App* resolve = with_move("resolve", "say who has a zone when the hosts cannot find out by themselves");
    CLI::Option* reclaim = resolve->add_flag("--reclaim", words.reclaim, "the move's source has it");
    resolve->add_flag("--adopt", words.adopt, "the move's target has it")->excludes(reclaim);
    resolve->add_flag("--peer-is-fenced", words.fenced, "the other host cannot run the zone any more");
    resolve->add_flag("--yes", words.yes, "do not ask for the zone's name");
    app.add_subcommand("history", "all moves that there ever were, with times and bytes")
        ->add_option("ZONE", words.zone, "of this zone only");
    app.add_subcommand("gc", "remove what moves have left behind")
        ->add_flag("-n,--dry-run", words.dry_run, "only show it");
}

void add_p2v(CLI::App& app, Words& words) {
    CLI::App* p2v = app.add_subcommand("p2v", "this machine as a zone: scan it, or push it to a peer");
    p2v->require_subcommand(1);
    p2v->add_subcommand("scan", "what of this machine would not work in a zone; needs no agent, changes nothing");
    CLI::App* push = p2v->add_subcommand("push", "send this machine into a zone that is configured on a peer");
    push->add_option("PLACE", words.place, "HOST:ZONE")->required();
    CLI::Option* preserve =
        push->add_flag("-p", words.preserve, "the last pass: then install it there; keep the identity");
    CLI::Option* unconfigure =
        push->add_flag("-u", words.unconfigure, "the same; take the identity away")->excludes(preserve);
    push->add_flag("--forget", words.forget, "give the push up: what the peer has received is removed there")
        ->excludes(preserve)
        ->excludes(unconfigure);
    push->add_flag("--delete-containers", words.delete_containers, "delete the data of containers there");
    push->add_option("--bwlimit", words.bwlimit, "at most so many bytes per second (K, M, G)");
}

}  // namespace

void describe(CLI::App& app, Words& words) {
    app.require_subcommand(1);
    app.add_option("--root", words.root, "root of the global zone")->envname("ZONEFERRY_ROOT");
    app.add_option("--format", words.format, "text or json (one object a line)")
        ->check(CLI::IsMember({"text", "json"}));
    app.add_flag("-q,--quiet", words.quiet, "errors only");
    app.fallthrough();

    add_move_words(*app.add_subcommand("check", "would this zone work on that host? nothing is touched"), words);
    CLI::App* move = app.add_subcommand("move", "move a zone to another host");
    add_move_words(*move, words);
    move->add_flag("-n,--dry-run", words.dry_run, "the same as check");
    move->add_flag("--cold", words.cold, "halt the zone first, then send everything once");
    add_steering(*move, words);
    move->add_option("--bwlimit", words.bwlimit, "at most so many bytes per second (K, M, G)");
    CLI::Option* keep = move->add_flag("--keep-source", words.keep, "keep the source's copy until finalize (default)");
    move->add_flag("--remove-source", words.remove, "delete the source's copy once the zone is healthy there")
        ->excludes(keep);

    const auto with_move = [&](const char* name, const char* text, bool required) {
        CLI::Option* option =
            app.add_subcommand(name, text)->add_option("MOVE", words.move, "a move's id or a zone's name");
        if (required) option->required();
    };
    with_move("status", "where a move stands, and its history; without MOVE all of them", false);
    with_move("watch", "follow a move", true);
    with_move("abort", "give a move up; the zone stays at the source", true);
    CLI::App* limit = app.add_subcommand("limit", "change how fast a move may send, while it runs");
    limit->add_option("MOVE", words.move, "a move's id or a zone's name")->required();
    limit->add_option("RATE", words.bwlimit, "bytes per second (K, M, G), or none")->required();
    with_move("finalize", "delete the copy that the source has kept", true);
    add_words_of_persons(app, words);
    add_p2v(app, words);
    app.add_subcommand("list", "all moves that this host took part in");
    app.add_subcommand("version", "versions of this agent and of a peer's")
        ->add_option("--peer", words.peer, "ask this host too");

    CLI::App* trust = app.add_subcommand("trust", "which hosts trust each other");
    trust->require_subcommand(1);
    trust->add_subcommand("init", "make an authority and this host's certificate");
    CLI::App* invite = trust->add_subcommand("invite", "print a line that lets one host join, once");
    invite->add_option("HOST", words.host, "the name of the host that may join")->required();
    invite->add_option("--ttl", words.ttl_minutes, "minutes until it expires")->check(CLI::Range(1U, 1440U));
    trust->add_subcommand("join", "join another host's authority; reads the invitation from standard input");
    trust->add_subcommand("list", "the hosts that are trusted");
    trust->add_subcommand("remove", "trust a host no longer")->add_option("HOST", words.host, "its name")->required();
    CLI::App* rights = trust->add_subcommand("rights", "what a host may do");
    rights->add_option("HOST", words.host, "its name")->required();
    rights->add_option("--send", words.may_send, "may it move zones to this host?")
        ->check(CLI::IsMember({"yes", "no"}));
    rights->add_option("--receive", words.may_receive, "may this host move zones to it?")
        ->check(CLI::IsMember({"yes", "no"}));
}

}  // namespace zoneferry
