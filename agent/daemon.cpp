#include "agent/daemon.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <cerrno>
#include <memory>
#include <mutex>

#include "agent/claims.h"
#include "agent/context.h"
#include "agent/janitor.h"
#include "agent/move/target_session.h"
#include "agent/move_desk.h"
#include "agent/peer_session.h"
#include "agent/verbs/control_server.h"
#include "agent/verbs/verbs.h"
#include "core/attach/host_facts.h"
#include "core/base/files.h"
#include "core/base/lock.h"
#include "core/base/process.h"
#include "core/zone/claim.h"
#include "core/zone/runtime.h"
#include "core/zone/state_binding.h"
#include "core/zone/store.h"

namespace zoneferry {
namespace {

// Listens to peers from the moment this host has a certificate.
class Listener {
public:
    Listener(AgentContext& context, MoveDesk& desk) : context_(context), desk_(desk) {}

    void begin_if_trusted() {
        const std::lock_guard guard(mutex_);
        if (listening_ || !context_.trust.has_identity()) return;
        const auto port = context_.network.listen(
            context_.settings.listen, context_.settings.port, [this] { return contexts(); },
            [this](std::shared_ptr<Connection> connection) {
                TargetSession(context_, desk_, std::move(connection)).run();
            });
        listening_ = port.has_value();
        if (port) {
            spdlog::info("listening to peers on port {}", *port);
        } else {
            spdlog::error("{}", port.error().text());
        }
    }

private:
    ServerContexts contexts() {
        ServerContexts both;
        if (auto mutual = context_.trust.server_context()) both.mutual = *std::move(mutual);
        if (auto join = context_.trust.join_server_context()) both.join = *std::move(join);
        return both;
    }
    AgentContext& context_;
    MoveDesk& desk_;
    std::mutex mutex_;
    bool listening_ = false;
};

// Once after the host has booted, not at every start of the agent: zones with autoboot, through the boot gate.
void autoboot(AgentContext& context) {
    const std::string mark = context.root.run_directory() + "/autobooted";  // on a tmpfs: gone with the next boot
    if (path_exists(mark) || !replace_file(mark, "", 0600)) return;
    const ZoneStore store(context.root);
    Runtime runtime(context.root);
    if (const auto all = store.list(); !all) spdlog::warn("autoboot: {}", all.error().text());
    const auto zones = store.list_readable();
    for (const ZoneEntry& zone : zones ? *zones : std::vector<ZoneEntry>()) {
        const auto config = store.config(zone.name);
        if (!config || !config->autoboot || zone.state != ZoneState::installed) continue;
        const auto lock = store.lock(zone.name);
        const auto booted = lock ? runtime.boot(*lock, zone, *config, BootOptions()) : Result<BootReport>(lock.error());
        if (!booted) spdlog::warn("autoboot of zone {}: {}", zone.name.str(), booted.error().text());
    }
}

// A move holds many descriptors (directories, catalogs, connections, one thread's pipes); the soft limit is for
// programs that use select().
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) spdlog::warn("{}", system_error("setrlimit", errno).text());
}

// How long the start waits for peers that are away: zones with autoboot wait for it.
constexpr int kClaimsTimeoutMs = 3'000;

int wait_for_the_end() {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    int signal = 0;
    sigwait(&ends, &signal);
    return signal;
}

}  // namespace

Status run_daemon(const HostRoot& root) {
    raise_descriptor_limit();
    ZF_TRY_STATUS(make_directories(root.state_directory(), 0700));
    ZF_TRY_STATUS(make_directories(root.state_directory() + "/moves", 0700));
    ZF_TRY_STATUS(make_directories(root.run_directory(), 0755));
    auto lock = FileLock::try_take(root.run_directory() + "/agent.lock");
    if (!lock) return std::move(lock).error().during("another agent runs for this host");

    ZF_TRY_STATUS(bind_state(root));

    const SystemClock clock;
    ZF_TRY(Settings settings, load_settings(root));
    ZF_TRY(const HostFacts facts, gather_host_facts(root));
    ZF_TRY(Journal journal, Journal::open(root.state_directory() + "/journal.db", clock));
    ZF_TRY(TrustStore trust, TrustStore::open(root.state_directory() + "/trust"));
    MoveBoard board;
    auto network = std::make_unique<Network>(connection_options(settings));
    AgentContext context{root, std::move(settings), facts.host_id, clock, journal, board, trust, *network};
    // Before anything is written there: a write to what is frozen waits for ever.
    for (const std::string& place : thaw_luns(root)) spdlog::warn("{} was left frozen, and is thawed", place);
    MoveDesk desk(context);
    Listener listener(context, desk);

    // Peers are answered from here on, also by a host that asks us what we are about to ask it.
    listener.begin_if_trusted();
    if (trust.has_identity()) ask_peers_for_claims(context, desk, kClaimsTimeoutMs);
    park_taken_zones(context);
    halt_parked_zones(context);
    autoboot(context);
    desk.resume_all();
    // Whoever gets an answer from the socket finds everything else at work.
    ZF_TRY(std::unique_ptr<ControlServer> control,
           ControlServer::start(root.run_directory() + "/agent.sock",
                                [&](const std::string& request, const SendLine& send) {
                                    serve_request(
                                        context, desk, [&] { listener.begin_if_trusted(); }, request, send);
                                }));
    auto janitor = std::make_unique<Janitor>(context, desk);
    spdlog::info("agent of {} is ready", context.settings.name);

    const int signal = wait_for_the_end();
    spdlog::info("ending on signal {}: moves stop at their next journaled point", signal);
    desk.stop();
    // Nobody waits for a peer any more. Whoever makes connections ends first, then the network, whose end waits for the
    // sessions of peers: they work with the desk and the context, and one may be in the middle of a long step.
    network->shut();
    control.reset();
    janitor.reset();
    network.reset();
    return {};
}

}  // namespace zoneferry
