#include "agent/move/probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "core/base/fd.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/zone/runtime.h"
#include "core/zone/store.h"

namespace zoneferry {
namespace {

constexpr std::size_t kWordsMax = 64;
constexpr std::size_t kBytesMax = 4096;
constexpr int kTryMs = 5'000;
constexpr int kPauseMs = 500;

Error bad_probe(const std::string& text) {
    return Error(Errc::usage, "'" + printable(text) + "' is no probe").remedy("--probe tcp:PORT, cmd:COMMAND or none");
}

Status connect_to(const std::string& address, std::uint16_t port, int timeout_ms) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* raw = nullptr;
    if (::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &raw) != 0) {
        return Error(Errc::invalid, printable(address) + " is no address");
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> where(raw, &::freeaddrinfo);
    const UniqueFd fd(::socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return system_error("probe", errno);
    const std::string what = "connecting to " + address + " port " + std::to_string(port);
    if (::connect(fd.get(), where->ai_addr, where->ai_addrlen) == 0) return {};
    if (errno != EINPROGRESS) return system_error(what, errno);
    pollfd ready{fd.get(), POLLOUT, 0};
    if (::poll(&ready, 1, timeout_ms) <= 0) return Error(Errc::timed_out, what + ": no answer");
    int failed = 0;
    socklen_t size = sizeof failed;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failed, &size);
    return failed == 0 ? Status() : Status(system_error(what, failed));
}

Status run_inside(pid_t leader, const std::vector<std::string>& command, int timeout_ms) {
    std::vector<std::string> argv{"nsenter", "-t", std::to_string(leader), "-a", "--"};
    argv.insert(argv.end(), command.begin(), command.end());
    ProcessOptions options;
    options.timeout_ms = timeout_ms;
    options.output_bytes_max = 4096;
    options.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
    return run_checked(argv, options);
}

Status try_once(AgentContext& context, const MoveRecord& record, const ProbeSpec& spec, int timeout_ms) {
    ZF_TRY(const ZoneName name, ZoneName::create(record.zone));
    ZF_TRY(const RuntimeStatus status, Runtime(context.root).status(name));
    if (status.state != ZoneState::running) return Error(Errc::conflict, "the zone does not run");
    if (spec.port == 0) return run_inside(status.leader, spec.command, timeout_ms);
    ZF_TRY(const ZoneConfig config, ZoneStore(context.root).config(name));
    const auto net = std::find_if(config.nets.begin(), config.nets.end(),
                                  [](const NetResource& one) { return !one.address.empty(); });
    if (net == config.nets.end()) return Error(Errc::not_found, "the zone has no address to connect to");
    return connect_to(net->address.substr(0, net->address.find('/')), spec.port, timeout_ms);
}

}  // namespace

Result<ProbeSpec> read_probe(const std::string& text) {
    ProbeSpec spec;
    if (text.size() > kBytesMax) return bad_probe(text.substr(0, 40) + "...");
    if (text.starts_with("tcp:")) {
        const auto port = parse_number<std::uint16_t>(std::string_view(text).substr(4));
        if (!port || *port == 0) return bad_probe(text);
        spec.port = *port;
        return spec;
    }
    if (!text.starts_with("cmd:")) return bad_probe(text);
    for (const std::string_view word : split(std::string_view(text).substr(4), ' ')) {
        if (!word.empty()) spec.command.emplace_back(word);
    }
    const bool has_nul = text.find('\0') != std::string::npos;
    if (spec.command.empty() || spec.command.size() > kWordsMax || has_nul) return bad_probe(text);
    return spec;
}

Status parse_probe(const std::string& text) {
    ZF_TRY([[maybe_unused]] const ProbeSpec spec, read_probe(text));
    return {};
}

Status run_probe(AgentContext& context, const MoveRecord& record) {
    ZF_TRY(const ProbeSpec spec, read_probe(record.probe));
    const std::int64_t until_ms = context.clock.monotonic_ms() + std::max<std::int64_t>(1, record.probe_limit_ms);
    while (true) {
        const std::int64_t rest_ms = until_ms - context.clock.monotonic_ms();
        Status tried = try_once(context, record, spec, static_cast<int>(std::clamp<std::int64_t>(rest_ms, 1, kTryMs)));
        if (tried) return {};
        if (context.clock.monotonic_ms() + kPauseMs >= until_ms) return tried;
        context.board.wait("", 0, kPauseMs);  // returns early when the agent stops
        if (context.stopping) return Error(Errc::cancelled, "the agent is stopping");
    }
}

}  // namespace zoneferry
