#include "core/zone/reservation.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/base/bytes.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr ReservationKey kMark = 0x5afULL << 52U;
constexpr ReservationKey kMarkMask = 0xfffULL << 52U;
constexpr ReservationKey kHostMask = 0xffffffULL << 28U;
constexpr ReservationKey kEpochMask = (1ULL << 28U) - 1;
constexpr const char* kType = "Write Exclusive, registrants only";
constexpr int kTimeoutMs = 20'000;
constexpr std::size_t kKeysMax = 1024;
constexpr int kStepsMax = 64;

std::string hex(ReservationKey key) {
    std::array<char, 20> text{};
    std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(key));
    return text.data();
}

std::optional<ReservationKey> parse_key(std::string_view text) {
    if (!text.starts_with("0x")) return std::nullopt;
    return parse_number<ReservationKey>(text.substr(2), 16);
}

Error not_understood(const char* what) {
    return Error(Errc::unsupported, std::string("sg_persist does not tell the device's ") + what);
}

bool has(const ReservationState& state, ReservationKey key) {
    return std::find(state.registered.begin(), state.registered.end(), key) != state.registered.end();
}

// After a reset, or when another host has evicted it, a path says so once instead of an answer
// (SG_LIB_CAT_UNIT_ATTENTION).
constexpr int kUnitAttention = 6;
constexpr int kAttentionsMax = 4;

Result<ProcessResult> run_sg_persist(const std::vector<std::string>& words) {
    std::vector<std::string> argv{"sg_persist"};
    argv.insert(argv.end(), words.begin(), words.end());
    ProcessOptions options;
    options.timeout_ms = kTimeoutMs;
    return run_process(argv, options);
}

std::string last_line(std::string_view output) {
    std::string_view last;
    for (const std::string_view line : split(output, '\n')) {
        if (!trim(line).empty()) last = trim(line);
    }
    return printable(last.substr(0, 200));
}

}  // namespace

ReservationKey reservation_key(std::string_view machine_id, std::uint64_t epoch) {
    const Digest digest = sha256(as_bytes("reservation\n" + std::string(machine_id)));
    const ReservationKey host = static_cast<ReservationKey>(load_little_endian<std::uint32_t>(digest)) << 28U;
    return kMark | (host & kHostMask) | std::min<std::uint64_t>(epoch, kEpochMask);
}

bool is_own_kind(ReservationKey key) { return (key & kMarkMask) == kMark; }
bool is_same_host(ReservationKey one, ReservationKey other) {
    return is_own_kind(one) && is_own_kind(other) && (one & kHostMask) == (other & kHostMask);
}
std::uint64_t epoch_of(ReservationKey key) { return key & kEpochMask; }

Status check_capabilities(std::string_view text) {
    if (text.find("Report capabilities response") == std::string_view::npos) return not_understood("capabilities");
    for (const std::string_view line : split(text, '\n')) {
        const std::size_t at = line.find(kType);
        const std::size_t colon = at == std::string_view::npos ? at : line.rfind(':');
        if (colon == std::string_view::npos) continue;
        return trim(line.substr(colon + 1)) == "0" ? Status(not_understood("type of reservation that is needed"))
                                                   : Status();
    }
    return {};  // it has no mask of types: it may be tried
}

Result<std::vector<ReservationKey>> parse_registered_keys(std::string_view text) {
    if (text.find("there are NO registered reservation keys") != std::string_view::npos) {
        return std::vector<ReservationKey>();
    }
    bool follow = false;
    std::vector<ReservationKey> keys;
    for (const std::string_view line : split(text, '\n')) {
        if (follow) {
            const auto key = parse_key(trim(line));
            if (!key && !trim(line).empty()) return not_understood("registered keys");
            // A host is registered once for each of its paths.
            if (key && std::find(keys.begin(), keys.end(), *key) == keys.end()) keys.push_back(*key);
            if (keys.size() > kKeysMax) return not_understood("registered keys");
        }
        const bool one = line.find("registered reservation key") != std::string_view::npos;
        follow = follow || (one && line.find("follow") != std::string_view::npos);
    }
    if (!follow || keys.empty()) return not_understood("registered keys");
    return keys;
}

Status parse_reservation(std::string_view text, ReservationState& state) {
    if (text.find("there is NO reservation held") != std::string_view::npos) {
        state.holder = 0;
        return {};
    }
    for (const std::string_view line : split(text, '\n')) {
        const std::string_view trimmed = trim(line);
        if (trimmed.starts_with("Key=")) {
            const auto key = parse_key(trimmed.substr(4));
            if (!key) return not_understood("reservation");
            state.holder = *key;
        }
        if (trimmed.find("type: ") != std::string_view::npos) {
            state.is_registrants_only = trimmed.ends_with(std::string("type: ") + kType);
        }
    }
    return state.holder == 0 ? Status(not_understood("reservation")) : Status();
}

Result<std::optional<ReservationStep>> next_step_to_take(const ReservationState& state, ReservationKey key) {
    using Kind = ReservationStep::Kind;
    const auto refuse = [](Errc code, const std::string& why) {
        return Error(code, "the LUN's SCSI reservation is not this host's to take: " + why)
            .remedy("see who holds it: sg_persist -k DEVICE, sg_persist -r DEVICE; zoneferry status on every host");
    };
    std::vector<ReservationKey> others = state.registered;
    if (state.holder != 0 && !has(state, state.holder)) others.push_back(state.holder);
    std::erase(others, key);
    // Before anything is changed.
    for (const ReservationKey other : others) {
        if (!is_own_kind(other)) return refuse(Errc::conflict, "key " + hex(other) + " is another program's");
        const bool is_later = epoch_of(other) >= epoch_of(key);
        if (!is_same_host(other, key) && is_later) {
            return refuse(Errc::not_owner, "key " + hex(other) + " is another host's, of epoch " +
                                               std::to_string(epoch_of(other)) + "; ours is of epoch " +
                                               std::to_string(epoch_of(key)));
        }
    }
    if (!has(state, key)) return std::optional(ReservationStep{Kind::registers, key});
    if (state.holder != 0 && state.holder != key) {
        return std::optional(ReservationStep{Kind::preempts, key, state.holder});
    }
    if (!others.empty()) return std::optional(ReservationStep{Kind::preempts, key, others.front()});
    if (state.holder == 0) return std::optional(ReservationStep{Kind::reserves, key});
    if (!state.is_registrants_only) return refuse(Errc::conflict, "it is of another type than " + std::string(kType));
    return std::optional<ReservationStep>();
}

std::optional<ReservationStep> next_step_to_give(const ReservationState& state, ReservationKey of_this_host) {
    using Kind = ReservationStep::Kind;
    for (const ReservationKey key : state.registered) {
        if (!is_same_host(key, of_this_host)) continue;
        return ReservationStep{state.holder == key ? Kind::releases : Kind::unregisters, key};
    }
    return std::nullopt;
}

ReservationKey other_host_on(const ReservationState& state, ReservationKey of_this_host) {
    for (const ReservationKey key : state.registered) {
        if (!is_same_host(key, of_this_host)) return key;
    }
    return state.holder != 0 && !is_same_host(state.holder, of_this_host) ? state.holder : 0;
}

std::vector<std::string> step_words(const ReservationStep& step, const std::string& device) {
    std::vector<std::string> words{"--no-inquiry", "--out"};
    const auto add = [&](const std::vector<std::string>& more) { words.insert(words.end(), more.begin(), more.end()); };
    switch (step.kind) {
        case ReservationStep::Kind::registers: add({"--register-ignore", "--param-sark=" + hex(step.key)}); break;
        case ReservationStep::Kind::reserves:
            add({"--reserve", "--param-rk=" + hex(step.key), "--prout-type=5"});
            break;
        case ReservationStep::Kind::preempts:
            add({"--preempt", "--param-rk=" + hex(step.key), "--param-sark=" + hex(step.victim), "--prout-type=5"});
            break;
        case ReservationStep::Kind::releases:
            add({"--release", "--param-rk=" + hex(step.key), "--prout-type=5"});
            break;
        case ReservationStep::Kind::unregisters:
            add({"--register", "--param-rk=" + hex(step.key), "--param-sark=0x0"});
            break;
    }
    words.push_back(device);
    return words;
}

ScsiReservation::ScsiReservation(std::string device, Run run)
    : device_(std::move(device)), run_(run ? std::move(run) : Run(run_sg_persist)) {}

Result<ProcessResult> ScsiReservation::run(const std::vector<std::string>& words) const {
    for (int tries = 1;; ++tries) {
        auto said = run_(words);
        if (!said || said->exit_status != kUnitAttention || tries == kAttentionsMax) return said;
    }
}

Result<std::string> ScsiReservation::ask(const char* what) const {
    ZF_TRY(ProcessResult said, run({"--no-inquiry", "--readonly", "--in", what, device_}));
    if (said.exit_status == 0) return std::move(said.output);
    return Error(Errc::io, "sg_persist " + std::string(what) + " " + device_ + " ended with " +
                               std::to_string(said.exit_status) + ": " + last_line(said.output));
}

Result<ReservationState> ScsiReservation::read() const {
    ReservationState state;
    const auto can = ask("--report-capabilities");
    Status understood = can ? check_capabilities(*can) : Status(can.error());
    if (!understood) {
        state.missing = understood.error().sentence();
        return state;
    }
    ZF_TRY(const std::string keys, ask("--read-keys"));
    ZF_TRY(state.registered, parse_registered_keys(keys));
    ZF_TRY(const std::string reservation, ask("--read-reservation"));
    ZF_TRY_STATUS(parse_reservation(reservation, state));
    return state;
}

Status ScsiReservation::carry_out(const ReservationStep& step) const {
    const std::vector<std::string> words = step_words(step, device_);
    ZF_TRY(const ProcessResult said, run(words));
    if (said.exit_status == 0) return {};
    return Error(Errc::io, "sg_persist " + words[2] + " " + device_ + " ended with " +
                               std::to_string(said.exit_status) + ": " + last_line(said.output))
        .remedy("see who holds it: sg_persist -k " + device_ + ", sg_persist -r " + device_);
}

Result<bool> ScsiReservation::take(ReservationKey key) const {
    for (int steps = 0; steps < kStepsMax; ++steps) {
        ZF_TRY(const ReservationState state, read());
        if (!state.missing.empty()) return false;
        ZF_TRY(const std::optional<ReservationStep> step, next_step_to_take(state, key));
        if (!step) return true;
        ZF_TRY_STATUS(carry_out(*step));
    }
    return Error(Errc::io, "the reservation of " + device_ + " does not stay as it is made");
}

Status ScsiReservation::give(ReservationKey of_this_host) const {
    for (int steps = 0; steps < kStepsMax; ++steps) {
        ZF_TRY(const ReservationState state, read());
        if (!state.missing.empty()) return {};
        const auto step = next_step_to_give(state, of_this_host);
        if (!step) return {};
        ZF_TRY_STATUS(carry_out(*step));
    }
    return Error(Errc::io, "the reservation of " + device_ + " does not go away");
}

ReservationKey own_reservation_key(const HostRoot& root, std::uint64_t epoch) {
    const auto id = read_file(root.at("/etc/machine-id"), 256);
    const std::string machine(id ? trim(split(*id, '\n').front()) : std::string_view());
    return machine.empty() ? 0 : reservation_key(machine, epoch);
}

}  // namespace zoneferry
