// Who has the right to run a zone: the record that every boot asks first.
//
// Two copies of one small text, written durably:
//   ROOT/var/lib/zoneferry/owners/ZONE   this host's own
//   ZONEPATH/.zoneferry-owner            beside the zone, so that a host that shares the storage sees it too
//
//   # zoneferry owner record 1
//   zone=web01
//   zone_uuid=01234567-89ab-4def-8123-456789abcdef
//   epoch=3
//   state=released
//   host=host2
//   move_id=7d0c...
//   since_unix_ms=1763760000000
//   end
//
// Exactly these lines, in this order, at most 4 KiB; zone_uuid and move_id may be empty. Anything else is a damaged
// copy, and a damaged copy is an error: nobody boots on a guess.
//
// Which copy counts: the higher epoch; on equal epochs the more restrictive state. save() writes the host's copy first,
// so a zonepath copy that says `owned` while the host's copy is older or missing was written by another host: it is
// read as `released` to the host it names.
//
//     (no record) --> owned <--> frozen --> released        at the source
//     incoming --> owned(epoch + 1)                         at the target
//     any --> parked(a peer's higher epoch)                 until a person resolves it
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/host_root.h"
#include "core/base/result.h"
#include "core/zone/name.h"

namespace zoneferry {

// Ordered: a later one is more restrictive.
enum class Ownership {
    owned,     // may run here
    frozen,    // a move has quiesced it: nobody may boot it until the move ends
    incoming,  // a move is bringing it here: the name is reserved, the zone is not ours yet
    released,  // the right to run it was given to `host`
    parked,    // unavailable: `host` holds it under this higher epoch, and what lies here may be older or newer
};
std::string_view ownership_name(Ownership state);

struct OwnerRecord {
    std::string zone;
    std::string zone_uuid;
    std::uint64_t epoch = 0;  // how often the right to run has changed hands
    Ownership state = Ownership::owned;
    std::string host;     // who has the right
    std::string move_id;  // the move that wrote this
    std::int64_t since_unix_ms = 0;

    bool operator==(const OwnerRecord&) const = default;
};

std::string owner_record_text(const OwnerRecord& record);
Result<OwnerRecord> parse_owner_record(std::string_view text);  // Errc::corrupt

// The rule about two copies, purely. Either may be missing.
std::optional<OwnerRecord> effective_record(const std::optional<OwnerRecord>& of_host,
                                            const std::optional<OwnerRecord>& of_zonepath);
// The rule about booting, purely: Errc::not_owner with where the zone is, since when, and what to type.
Status check_may_boot(const std::optional<OwnerRecord>& record);

class OwnerStore {
public:
    explicit OwnerStore(HostRoot root) : root_(std::move(root)) {}

    // zonepath is as configured (below the root); empty: only the host's copy. nullopt: no move ever touched the zone.
    Result<std::optional<OwnerRecord>> load(const ZoneName& zone, const std::string& zonepath) const;
    // Durable when it returns. With an empty zonepath only the host's copy is written.
    Status save(const OwnerRecord& record, const std::string& zonepath);
    // Removes both copies (the zonepath's only if a zonepath is given).
    Status remove(const ZoneName& zone, const std::string& zonepath);

private:
    std::string host_path(const std::string& zone) const { return root_.state_directory() + "/owners/" + zone; }
    HostRoot root_;
};

// The boot gate: asks both copies.
Status may_boot(const HostRoot& root, const ZoneName& zone, const std::string& zonepath);

}  // namespace zoneferry
