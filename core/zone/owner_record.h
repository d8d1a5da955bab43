// Who has the right to run a zone: the record that every boot asks first.
//
// Two copies of one small text, written durably:
//   ROOT/var/lib/zoneferry/owners/ZONE   this host's own
//   ZONEPATH/.zoneferry-owner            beside the zone, so that a host that shares the storage sees it too
//
//   # zoneferry owner record 2
//   zone=web01
//   zone_uuid=01234567-89ab-4def-8123-456789abcdef
//   epoch=3
//   state=released
//   host=host2
//   move_id=7d0c...
//   since_unix_ms=1763760000000
//   storage=directory          how other hosts reach the tree: empty, "directory", or a LUN (core/zone/storage.h)
//   nonce=9f86d081...          of the hand-over that is under way, see agent/move/shared_move.h
//   seal=KEY:MAC               core/zone/owner_seal.h; empty: none
//   end
//
// Exactly these lines, in this order, at most 4 KiB; zone_uuid, move_id, storage, nonce and seal may be empty. Version
// 1 ends after since_unix_ms and is read as well. Anything else is a damaged copy, and so is one with this host's seal
// that does not hold; a damaged copy is an error: nobody boots on a guess.
//
// Which copy counts: the higher epoch; on equal epochs the more restrictive state. save() writes the host's copy first,
// so a zonepath copy that says `owned` while the host's copy is older or missing was written by another host: it is
// read as `released` to the host it names.
//
//     (no record) --> owned <--> frozen --> released        at the source
//     incoming --> owned(epoch + 1)                         at the target
//     any --> parked(a peer's higher epoch)                 until a person resolves it
//     owned --detach--> free(epoch + 1) --attach--> owned   by hand, only beside the tree: whoever attaches it has it
//
// On shared storage both hosts see the one copy beside the tree. There it is written only as `owned` or `frozen`, by
// the host that it names, or under a higher epoch (a grant, or a person's word): check_may_replace(). Everything else
// that this host knows it writes into its own copy alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/fd.h"
#include "core/base/host_root.h"
#include "core/base/result.h"
#include "core/zone/name.h"

namespace zoneferry {

// Ordered: a later one is more restrictive.
enum class Ownership {
    owned,     // may run here
    free,      // detached by hand: may not run, may be attached by any host that has the tree
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
    std::string storage;  // empty: the tree is this host's alone
    std::string nonce;

    bool operator==(const OwnerRecord&) const = default;
};

// seal: what stands in that line.
std::string owner_record_text(const OwnerRecord& record, const std::string& seal = {});
struct SealedRecord {
    OwnerRecord record;
    std::string seal;
};
Result<SealedRecord> parse_sealed_record(std::string_view text);  // Errc::corrupt
Result<OwnerRecord> parse_owner_record(std::string_view text);    // the same, whatever the seal

// The rule about two copies, purely. Either may be missing.
std::optional<OwnerRecord> effective_record(const std::optional<OwnerRecord>& of_host,
                                            const std::optional<OwnerRecord>& of_zonepath);
// The rule about booting, purely: Errc::not_owner with where the zone is, since when, and what to type.
Status check_may_boot(const std::optional<OwnerRecord>& record);
// The same for attaching: a zone that was detached by hand may be attached anywhere.
Status check_may_attach(const std::optional<OwnerRecord>& record);
// The rule about the one copy on shared storage, purely: may `mine` replace what lies there (is_ours: under this
// host's seal)? Errc::not_owner.
Status check_may_replace(const std::optional<OwnerRecord>& there, const OwnerRecord& mine, bool is_ours = false);

class OwnerStore {
public:
    explicit OwnerStore(HostRoot root) : root_(std::move(root)) {}

    // zonepath is as configured (below the root); empty: only the host's copy. nullopt: no move ever touched the zone.
    Result<std::optional<OwnerRecord>> load(const ZoneName& zone, const std::string& zonepath) const;
    // Only the copy beside the tree, as it lies there.
    Result<std::optional<OwnerRecord>> load_beside(const std::string& zonepath) const;
    Result<std::optional<OwnerRecord>> load_in(int zonepath, const std::string& shown) const;
    // Durable when it returns. With an empty zonepath only the host's copy is written; on shared storage the other one
    // follows check_may_replace(), under a lock that all hosts see, and is refused before anything is written.
    Status save(const OwnerRecord& record, const std::string& zonepath);
    // By hand, or by a person's word: both copies, under the storage's lock, if the one beside the tree has a lower
    // epoch.
    Status claim(const OwnerRecord& record, const std::string& zonepath);
    // A detach by hand: free for whoever attaches the tree next; this host's own copy goes.
    Status set_free(const OwnerRecord& record, const std::string& zonepath);
    // Removes both copies (the zonepath's only if a zonepath is given).
    Status remove(const ZoneName& zone, const std::string& zonepath);

private:
    std::string host_path(const std::string& zone) const { return root_.state_directory() + "/owners/" + zone; }
    Result<std::optional<OwnerRecord>> read_copy(Result<UniqueFd> fd, const std::string& path, bool is_hosts) const;
    Result<bool> is_sealed_here(const std::string& zonepath) const;
    Status write_both(const OwnerRecord& record, const std::string& zonepath);
    Status write_beside(const OwnerRecord& record, const std::string& zonepath);
    HostRoot root_;
};

// The boot gate: asks both copies.
Status may_boot(const HostRoot& root, const ZoneName& zone, const std::string& zonepath);
Status may_attach(const HostRoot& root, const ZoneName& zone, const std::string& zonepath);

}  // namespace zoneferry
