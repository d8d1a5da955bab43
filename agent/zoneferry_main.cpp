// zoneferry: asks the agent of this host and shows what it answers. It never opens the journal or a zone itself.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <array>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>

#include "agent/cli_render.h"
#include "agent/control_server.h"
#include "agent/exit_codes.h"
#include "core/base/clock.h"
#include "core/base/host_root.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

volatile sig_atomic_t interrupted = 0;
void on_interrupt(int) { interrupted = 1; }

int fail(const Error& error) {
    std::cerr << "zoneferry: " << error.text() << "\n";
    if (!error.remedy_text().empty()) std::cerr << "  -> " << error.remedy_text() << "\n";
    return exit_code_of(error.code());
}

int talk_to_agent(const HostRoot& root, const Json& request, Renderer& renderer) {
    Result<UniqueFd> agent = connect_control(root.run_directory() + "/agent.sock");
    if (!agent) return fail(agent.error());
    if (Status sent = write_all(agent->get(), as_bytes(json_line(request) + "\n")); !sent) return fail(sent.error());
    struct sigaction action {};
    action.sa_handler = on_interrupt;  // no SA_RESTART: the read below must end
    sigaction(SIGINT, &action, nullptr);
    const SystemClock clock;
    std::string pending;
    std::array<char, 65536> buffer{};
    while (true) {
        const ssize_t got = ::read(agent->get(), buffer.data(), buffer.size());
        if (interrupted != 0) {
            renderer.clear_live_line();
            std::cerr << "zoneferry: detached"
                      << (renderer.move_id().empty()
                              ? std::string()
                              : "; move " + renderer.move_id() + " goes on in the agents (zoneferry watch " +
                                    renderer.move_id() + ", zoneferry abort " + renderer.move_id() + ")")
                      << "\n";
            return kExitDetached;
        }
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            renderer.clear_live_line();
            return fail(Error(Errc::unreachable,
                              "the agent ended before it answered; a move that has begun goes on "
                              "when it starts again"));
        }
        pending.append(buffer.data(), static_cast<std::size_t>(got));
        std::size_t end = 0;
        while ((end = pending.find('\n')) != std::string::npos) {
            if (renderer.show(pending.substr(0, end), clock.monotonic_ms())) return renderer.exit_code();
            pending.erase(0, end + 1);
        }
    }
}

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

struct Words {
    std::string root = "/";
    std::string format = "text";
    bool quiet = false;
    std::string zone, host, move, peer, bwlimit;
    bool dry_run = false, update = false, force = false, cold = false, keep = false, remove = false;
    std::uint32_t ttl_minutes = 15;
};

void add_move_words(CLI::App& verb, Words& words) {
    verb.add_option("ZONE", words.zone, "the zone")->required();
    verb.add_option("HOST", words.host, "the host that shall take it (zoneferry trust list)")->required();
    verb.add_flag("-u", words.update, "update the zone's packages on attach (not available yet)");
    verb.add_flag("-F,--force", words.force, "do not compare packages");
}

// The invitation is a secret: it is read from stdin, never taken from the command line where ps shows it.
Result<std::string> read_invitation() {
    if (::isatty(STDIN_FILENO) == 1) std::cerr << "the line that `zoneferry trust invite` printed: ";
    std::string line;
    std::getline(std::cin, line);
    if (line.empty()) return Error(Errc::usage, "no invitation on standard input");
    return line;
}

Result<Json> request_of(const CLI::App& app, const Words& words) {
    if (app.got_subcommand("trust")) {
        const CLI::App* trust = app.get_subcommand("trust");
        if (trust->got_subcommand("init")) return Json{{"verb", "trust-init"}};
        if (trust->got_subcommand("list")) return Json{{"verb", "trust-list"}};
        if (trust->got_subcommand("remove")) return Json{{"verb", "trust-remove"}, {"host", words.host}};
        if (trust->got_subcommand("invite")) {
            return Json{{"verb", "trust-invite"}, {"host", words.host}, {"ttl_s", words.ttl_minutes * 60}};
        }
        ZF_TRY(const std::string invitation, read_invitation());
        return Json{{"verb", "trust-join"}, {"invitation", invitation}};
    }
    const std::string verb = app.get_subcommands().front()->get_name();
    if (verb == "list") return Json{{"verb", "status"}};
    if (verb == "version") return Json{{"verb", "version"}, {"host", words.peer}};
    if (verb == "limit") {
        const auto rate = words.bwlimit == "none" ? std::optional<std::uint64_t>(0) : parse_rate(words.bwlimit);
        if (!rate) return Error(Errc::usage, "limit takes bytes per second, such as 500K, 20M or 1G, or none");
        return Json{{"verb", verb}, {"move", words.move}, {"bytes_per_second", *rate}};
    }
    if (verb != "check" && verb != "move") return Json{{"verb", verb}, {"move", words.move}};
    if (words.update) {
        return Error(Errc::unsupported, "update on attach (-u) is not available yet")
            .remedy("bring the packages of both hosts to the same versions, or move with -F");
    }
    Json request{{"verb", verb == "check" || words.dry_run ? "check" : "move"},
                 {"zone", words.zone},
                 {"host", words.host},
                 {"force", words.force},
                 {"cold", words.cold},
                 {"remove_source", words.remove}};
    if (!words.bwlimit.empty()) {
        const auto rate = parse_rate(words.bwlimit);
        if (!rate) return Error(Errc::usage, "--bwlimit takes bytes per second, such as 500K, 20M or 1G");
        request["bytes_per_second"] = *rate;
    }
    return request;
}

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
    with_move("rollback", "bring a moved zone back, with what it wrote since", true);
    with_move("finalize", "delete the copy that the source has kept", true);
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
}

int run(int argc, char** argv) {
    CLI::App app("zoneferry: moves a zone from one host to another, and tells before whether that would work.");
    app.set_version_flag("--version", std::string("zoneferry ") + ZONEFERRY_VERSION);
    Words words;
    describe(app, words);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kExitOk : kExitUsage;
    }
    const Result<Json> request = request_of(app, words);
    if (!request) return fail(request.error());
    Renderer renderer(detect_terminal(words.format == "json" ? Format::json : Format::text, words.quiet));
    return talk_to_agent(HostRoot(words.root), *request, renderer);
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    return zoneferry::run(argc, argv);
}
