// zoneferryd: the agent. Reads its command line and runs the daemon; see daemon.h.
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>

#include "agent/daemon.h"
#include "agent/exit_codes.h"
#include "agent/move/segment_pump.h"

int main(int argc, char** argv) {
    CLI::App app("zoneferryd: the Zoneferry agent of this host. Runs in the foreground; logs to standard error.");
    std::string root = "/";
    app.add_option("--root", root, "root of the global zone")->envname("ZONEFERRY_ROOT");
    app.set_version_flag("--version", std::string("zoneferryd ") + ZONEFERRY_VERSION);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? zoneferry::kExitOk : zoneferry::kExitUsage;
    }
    zoneferry::keep_freed_segments();
    spdlog::set_default_logger(spdlog::stderr_logger_mt("zoneferryd"));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");

    // Taken by sigwait in the daemon; blocked before any thread begins.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    signal(SIGPIPE, SIG_IGN);

    const zoneferry::Status done = zoneferry::run_daemon(zoneferry::HostRoot(root));
    if (done) return zoneferry::kExitOk;
    spdlog::error("{}", done.error().text());
    if (!done.error().remedy_text().empty()) spdlog::error("what to do: {}", done.error().remedy_text());
    return zoneferry::exit_code_of(done.error().code());
}
