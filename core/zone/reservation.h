// SCSI-3 persistent reservations of a LUN, through sg_persist(8) of sg3-utils: where the device has them, the storage
// itself refuses the writes of a host that is not registered, whatever that host believes.
//
//     take    register this host's key, evict older ones (preempt), reserve "Write Exclusive, registrants only" (type
//     5) give    release, unregister: after the unmount, before the right to run the zone is given up
//
// A key says whose it is and since when: 0x5af | 24 bits of SHA-256(machine-id) | 28 bits of the epoch. The higher
// epoch wins, as with the owner record: a key of a lower epoch is what a host left that is gone (preempted), one of the
// same or a higher epoch of another host is its right (Errc::not_owner), and one that we did not make is another
// program's (Errc::conflict). A host has one key; a new epoch replaces it.
//
// Each step is decided purely from what the device says, done, and the device is read again: whatever was left half
// done ends the same way. A device that has none of this (a loop device, sg_persist not installed) is taken without.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/host_root.h"
#include "core/base/process.h"
#include "core/base/result.h"

namespace zoneferry {

using ReservationKey = std::uint64_t;  // 0: none
ReservationKey reservation_key(std::string_view machine_id, std::uint64_t epoch);
bool is_own_kind(ReservationKey key);
bool is_same_host(ReservationKey one, ReservationKey other);
std::uint64_t epoch_of(ReservationKey key);

// What READ CAPABILITIES, READ KEYS and READ RESERVATION say.
struct ReservationState {
    std::string missing;  // why the device has no reservations; empty: it has
    std::vector<ReservationKey> registered;
    ReservationKey holder = 0;
    bool is_registrants_only = false;  // the reservation is of our type
};
// Readers of sg_persist's text; Errc::unsupported when it does not say what is asked.
Status check_capabilities(std::string_view text);
Result<std::vector<ReservationKey>> parse_registered_keys(std::string_view text);
Status parse_reservation(std::string_view text, ReservationState& state);

struct ReservationStep {
    enum class Kind { registers, reserves, preempts, releases, unregisters };
    Kind kind;
    ReservationKey key = 0;     // ours
    ReservationKey victim = 0;  // whom it preempts
    bool operator==(const ReservationStep&) const = default;
};
// The next step until this key holds the device; nullopt: it does. Purely.
Result<std::optional<ReservationStep>> next_step_to_take(const ReservationState& state, ReservationKey key);
// The next step until this host has nothing of it; nullopt: it has not. Purely.
std::optional<ReservationStep> next_step_to_give(const ReservationState& state, ReservationKey of_this_host);
// Who else could write to it: another host's key, if there is one; 0: nobody.
ReservationKey other_host_on(const ReservationState& state, ReservationKey of_this_host);

// The words after "sg_persist" for a step.
std::vector<std::string> step_words(const ReservationStep& step, const std::string& device);

// One device. Its door to the program is replaced in tests.
class ScsiReservation {
public:
    using Run = std::function<Result<ProcessResult>(const std::vector<std::string>& words)>;
    explicit ScsiReservation(std::string device, Run run = {});

    // Never fails because the device has no reservations: then `missing` says so.
    Result<ReservationState> read() const;
    // False: the device has none.
    Result<bool> take(ReservationKey key) const;
    Status give(ReservationKey of_this_host) const;

private:
    Result<ProcessResult> run(const std::vector<std::string>& words) const;
    Result<std::string> ask(const char* what) const;
    Status carry_out(const ReservationStep& step) const;
    std::string device_;
    Run run_;
};

// This host's key: by /etc/machine-id. 0 if the host has none: then nothing is reserved.
ReservationKey own_reservation_key(const HostRoot& root, std::uint64_t epoch);

}  // namespace zoneferry
