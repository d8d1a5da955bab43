// zoneferry: asks the agent of this host and shows what it answers. It never opens the journal or a zone itself.
// (`p2v scan` looks at this machine and needs no agent.)
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

#include "agent/exit_codes.h"
#include "agent/programs/zoneferry_p2v.h"
#include "agent/programs/zoneferry_words.h"
#include "agent/verbs/cli_render.h"
#include "agent/verbs/control_server.h"
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
    if (app.got_subcommand("p2v") && app.get_subcommand("p2v")->got_subcommand("scan")) {
        const auto scanned = run_p2v_scan(words.root, words.format == "json");
        return scanned ? *scanned : fail(scanned.error());
    }
    Result<Json> request = request_of(app, words);
    if (!request) return fail(request.error());
    const RenderOptions options = detect_terminal(words.format == "json" ? Format::json : Format::text, words.quiet);
    Renderer renderer(options);
    const int status = talk_to_agent(HostRoot(words.root), *request, renderer);
    if (renderer.zone_at_risk().empty() || options.format == Format::json || ::isatty(STDIN_FILENO) != 1) return status;
    std::cerr << "type the name of the zone to go on: ";
    std::string typed;
    std::getline(std::cin, typed);
    (*request)["confirmed"] = typed;
    Renderer again(options);
    return talk_to_agent(HostRoot(words.root), *request, again);
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    return zoneferry::run(argc, argv);
}
