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

// The LUN of a zone: as its configuration declares it, else as a move has found it.
Result<std::optional<Storage>> lun_of_zone(const std::optional<OwnerRecord>& ours, const ZoneConfig& config) {
    if (auto declared = declared_lun(config)) {
        ZF_TRY_STATUS(verify_config(config));
        return declared;
    }
    if (!ours || ours->state != Ownership::owned || !is_lun(ours->storage)) return std::optional<Storage>();
    ZF_TRY(Storage lun, parse_lun(ours->storage));
    if (!is_at_or_below(config.zonepath, lun.mount_point)) return std::optional<Storage>();
    return std::optional<Storage>(std::move(lun));
}

bool is_mount_point(const std::string& path) {
    const auto at = mounted_at(path);
    return at && at->storage.mount_point == path;
}

Status check_use(LunUse use, const std::optional<OwnerRecord>& record) {
    switch (use) {
        case LunUse::boot: return check_may_boot(record);
        case LunUse::attach: return check_may_attach(record);
        case LunUse::take_over: break;
    }
    return {};
}

// The device is nobody's again when it returns.
Result<std::optional<OwnerRecord>> record_on_lun(const OwnerStore& owners, const Storage& lun,
                                                 const std::string& zonepath) {
    ZF_TRY(const UniqueFd top, open_lun_read_only(lun));
    const auto place = open_beneath(top.get(), zonepath_below(lun, zonepath), O_RDONLY | O_DIRECTORY);
    if (!place && place.error().system_error() == ENOENT) return std::optional<OwnerRecord>();
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
    if (Status ours = check_may_boot(before); !ours) {
        const bool is_given_up = before->state == Ownership::free && before->host == host;  // and killed after that
        return before->storage.empty() || is_given_up ? Status() : ours;
    }
    OwnerRecord record = record_by_hand(before, lock.name(), Ownership::free, host);
    if (record.zone_uuid.empty()) record.zone_uuid = entry.uuid;
    if (record.storage.empty()) record.storage = storage_beside(root, entry.zonepath);
    return owners.set_free(record, entry.zonepath);
}

Status hold_by_hand(const HostRoot& root, const ZoneEntry& entry, const ZoneConfig& config, const std::string& host) {
    if (!config.storage || !root.is_real()) return {};
    OwnerStore owners(root);
    ZF_TRY(const std::optional<OwnerRecord> before, owners.load(entry.name, config.zonepath));
    if (before) return {};
    OwnerRecord record = record_by_hand(before, entry.name, Ownership::owned, host);
    record.zone_uuid = entry.uuid;
    record.storage = shared_storage(root, config.zonepath);
    return owners.claim(record, config.zonepath);
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
                                                    const ZoneConfig& config) {
    const OwnerStore owners(root);
    ZF_TRY(std::optional<OwnerRecord> record, owners.load(zone, config.zonepath));
    const auto lun = declared_lun(config);
    if (lun && root.is_real() && !is_mount_point(lun->mount_point)) {
        ZF_TRY(const std::optional<OwnerRecord> beside, record_on_lun(owners, *lun, config.zonepath));
        record = effective_record(record, beside);
    }
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

std::vector<std::string> thaw_luns(const HostRoot& root) {
    std::vector<std::string> thawed;
    if (!root.is_real()) return thawed;
    const ZoneStore store(root);
    const auto zones = store.list_readable();
    for (const ZoneEntry& zone : zones ? *zones : std::vector<ZoneEntry>()) {
        const auto config = store.config(zone.name);
        const auto ours = OwnerStore(root).load(zone.name, "");  // nothing on the LUN itself, which would wait
        std::optional<Storage> lun = config ? declared_lun(*config) : std::nullopt;
        if (!lun && ours && *ours && is_lun((*ours)->storage)) {
            if (auto parsed = parse_lun((*ours)->storage)) lun = *std::move(parsed);
        }
        const auto was_frozen = lun ? thaw_lun(*lun) : Result<bool>(false);
        if (was_frozen && *was_frozen) thawed.push_back(lun->mount_point);
    }
    return thawed;
}

Result<bool> bring_lun(const HostRoot& root, const ZoneName& zone, LunUse use) {
    if (!root.is_real()) return false;
    const OwnerStore owners(root);
    ZF_TRY(const std::optional<OwnerRecord> ours, owners.load(zone, ""));
    ZF_TRY(const ZoneConfig config, ZoneStore(root).config(zone));
    ZF_TRY(const std::optional<Storage> lun, lun_of_zone(ours, config));
    if (!lun) return false;
    if (is_mount_point(lun->mount_point)) {
        // What a move has found may have been put elsewhere by hand since; a declaration says what must lie there.
        if (config.storage) ZF_TRY_STATUS(mount_lun(*lun, 0));
        return false;
    }
    ZF_TRY(const std::optional<OwnerRecord> beside, record_on_lun(owners, *lun, config.zonepath));
    const std::optional<OwnerRecord> record = effective_record(ours, beside);
    ZF_TRY_STATUS(check_use(use, record));
    // Who attaches it, or takes it over, will hold it under the next epoch.
    const std::uint64_t epoch = (record ? record->epoch : 0) + (use == LunUse::boot ? 0 : 1);
    ZF_TRY_STATUS(mount_lun(*lun, own_reservation_key(root, epoch)));
    return true;
}

Status put_lun_away(const HostRoot& root, const ZoneConfig& config) {
    if (!root.is_real()) return {};
    const ReservationKey key = own_reservation_key(root, 0);
    if (const auto lun = declared_lun(config)) return unmount_lun(*lun, key);
    const auto at = mounted_at(config.zonepath);
    if (!at || key == 0 || !lun_problem(*at, config.zonepath, {}).empty()) return {};
    return ScsiReservation(at->device).give(key);
}

}  // namespace zoneferry
