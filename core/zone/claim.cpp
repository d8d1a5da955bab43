#include "core/zone/claim.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/zone/lease.h"
#include "core/zone/storage.h"

namespace zoneferry {
namespace {

bool is_network_file_system(std::string_view type) {
    constexpr std::array kTypes{"nfs",   "nfs4", "cifs",   "smb3", "ceph",   "9p",       "gfs2",
                                "ocfs2", "afs",  "lustre", "gpfs", "beegfs", "virtiofs", "glusterfs"};
    return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end() || type.starts_with("fuse.");
}

OwnerRecord record_by_hand(const std::optional<OwnerRecord>& before, const ZoneName& zone, Ownership state,
                           const std::string& host) {
    OwnerRecord record = before.value_or(OwnerRecord());
    record.zone = zone.str();
    record.epoch += 1;
    record.state = state;
    record.host = host;
    record.move_id.clear();
    record.nonce.clear();
    record.since_unix_ms = SystemClock().unix_ms();
    return record;
}

std::string zonepath_below(const Storage& lun, const std::string& zonepath) {
    return zonepath == lun.mount_point ? "." : zonepath.substr(lun.mount_point.size() + 1);
}

// A tree that changes hands by hand is one that other hosts may see, whatever it is mounted from.
std::string shared_storage(const HostRoot& root, const std::string& zonepath) {
    const std::string storage = storage_beside(root, zonepath);
    return storage.empty() ? kSharedDirectory : storage;
}

// The device is nobody's again when it returns.
Result<std::optional<OwnerRecord>> record_on_lun(const OwnerStore& owners, const Storage& lun,
                                                 const std::string& zonepath) {
    ZF_TRY(const UniqueFd top, open_lun_read_only(lun));
    const auto place = open_beneath(top.get(), zonepath_below(lun, zonepath), O_RDONLY | O_DIRECTORY);
    if (!place) return Error(place.error()).during("looking for " + zonepath + " on its storage");
    return owners.load_in(place->get(), zonepath);
}

}  // namespace

Result<std::string> host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return system_error("gethostname", errno);
    return printable(name.data());
}

std::string storage_beside(const HostRoot& root, const std::string& zonepath) {
    const auto at = mounted_at(root.at(zonepath));
    if (!at) return {};
    if (is_network_file_system(at->storage.file_system)) return kSharedDirectory;
    if (!root.is_real() || !lun_problem(*at, zonepath, {}).empty()) return {};
    return lun_text(at->storage);
}

Status give_up_by_hand(const HostRoot& root, const ZoneLock& lock, const ZoneEntry& entry, const std::string& host) {
    OwnerStore owners(root);
    ZF_TRY(const std::optional<OwnerRecord> before, owners.load(lock.name(), entry.zonepath));
    if (!check_may_boot(before)) return {};
    OwnerRecord record = record_by_hand(before, lock.name(), Ownership::free, host);
    if (record.zone_uuid.empty()) record.zone_uuid = entry.uuid;
    if (record.storage.empty()) record.storage = storage_beside(root, entry.zonepath);
    return owners.set_free(record, entry.zonepath);
}

Status claim_by_hand(const HostRoot& root, const ZoneLock& lock, const std::string& zonepath, const std::string& host) {
    OwnerStore owners(root);
    ZF_TRY(const std::optional<OwnerRecord> before, owners.load(lock.name(), zonepath));
    ZF_TRY_STATUS(check_may_attach(before));
    if (!before || before->state != Ownership::free) return {};
    OwnerRecord record = record_by_hand(before, lock.name(), Ownership::owned, host);
    record.storage = shared_storage(root, zonepath);
    // Two hosts that claim at once: the second one finds the first one's record, of the same epoch and another host.
    return owners.claim(record, zonepath);
}

Status give_back_by_hand(const HostRoot& root, const ZoneLock& lock, const std::string& zonepath) {
    OwnerStore owners(root);
    ZF_TRY(const std::optional<OwnerRecord> ours, owners.load(lock.name(), ""));
    if (!ours || ours->state != Ownership::owned || !ours->move_id.empty()) return {};
    ZF_TRY(const std::optional<OwnerRecord> before, owners.load(lock.name(), zonepath));
    if (!check_may_boot(before)) return {};
    return owners.set_free(record_by_hand(before, lock.name(), Ownership::free, ours->host), zonepath);
}

Result<std::optional<OwnerRecord>> holder_elsewhere(const HostRoot& root, const ZoneName& zone,
                                                    const std::string& zonepath) {
    ZF_TRY(std::optional<OwnerRecord> record, OwnerStore(root).load(zone, zonepath));
    if (check_may_attach(record)) record.reset();
    return record;
}

Status take_over_by_hand(const HostRoot& root, const ZoneLock& lock, const std::string& zonepath,
                         const OwnerRecord& holder, const std::string& host) {
    ZF_TRY(const bool runs, ZoneLease::is_held(root.at(zonepath)));
    if (runs) {
        return Error(Errc::busy, "zone " + lock.name().str() + " runs now: its lease on the storage is held, as " +
                                     printable(holder.host) + " says")
            .remedy("cut that host off first, so that the storage drops its locks; or halt the zone there");
    }
    OwnerRecord record = record_by_hand(holder, lock.name(), Ownership::owned, host);
    record.storage = shared_storage(root, zonepath);
    return OwnerStore(root).claim(record, zonepath);
}

Status bring_lun(const HostRoot& root, const ZoneName& zone) {
    const OwnerStore owners(root);
    ZF_TRY(const std::optional<OwnerRecord> ours, owners.load(zone, ""));
    if (!ours || ours->state != Ownership::owned || !is_lun(ours->storage)) return {};
    ZF_TRY(const ZoneConfig config, ZoneStore(root).config(zone));
    ZF_TRY(const Storage lun, parse_lun(ours->storage));
    if (!is_at_or_below(config.zonepath, lun.mount_point)) return {};
    if (const auto at = mounted_at(lun.mount_point); at && at->storage.mount_point == lun.mount_point) return {};
    ZF_TRY(const std::optional<OwnerRecord> beside, record_on_lun(owners, lun, config.zonepath));
    ZF_TRY_STATUS(check_may_boot(effective_record(ours, beside)));
    return mount_lun(lun);
}

}  // namespace zoneferry
