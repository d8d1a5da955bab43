#include "agent/move/shared_move.h"

#include <fcntl.h>

#include "agent/move/move_plan.h"
#include "core/attach/detach.h"
#include "core/base/text.h"
#include "core/zone/storage.h"

namespace zoneferry {
namespace {

// The zonepath below the LUN's mount point, wherever that is mounted: "" or "web01".
std::string below_mount(const MoveRecord& record, const Storage& lun) {
    return record.zonepath == lun.mount_point ? std::string() : record.zonepath.substr(lun.mount_point.size() + 1);
}

Result<Storage> lun_of(const MoveRecord& record) {
    ZF_TRY(Storage lun, parse_lun(record.storage));
    if (is_at_or_below(record.zonepath, lun.mount_point)) return lun;
    return Error(Errc::protocol, record.zonepath + " does not lie below the LUN's mount point " + lun.mount_point);
}

Result<UniqueFd> open_lun_zonepath(const MoveRecord& record) {
    ZF_TRY(const Storage lun, lun_of(record));
    ZF_TRY(UniqueFd top, open_lun_read_only(lun));
    const std::string below = below_mount(record, lun);
    return open_beneath(top.get(), below.empty() ? "." : below, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Status check_root(int zonepath, const std::string& shown) {
    if (open_beneath(zonepath, "root", O_PATH | O_DIRECTORY | O_NOFOLLOW)) return {};
    return Error(Errc::conflict, shown + " has no directory 'root'");
}

}  // namespace

ZoneConfig config_to_send(ZoneConfig config, SharedKind shared) {
    if (shared != SharedKind::lun) config.storage.reset();
    return config;
}

Status check_declared(const ZoneConfig& config, SharedKind shared, const std::string& storage) {
    const auto declared = declared_lun(config);
    if (!declared) return {};
    const Error another(Errc::protocol, "the zone's configuration declares a LUN that this move does not hand over");
    if (shared != SharedKind::lun) return another;
    ZF_TRY(const Storage lun, parse_lun(storage));
    const bool is_that =
        is_lun_on(*declared, lun) && declared->mount_point == lun.mount_point && declared->options == lun.options;
    return is_that ? Status() : Status(another);
}

bool is_shared(const MoveRecord& record) { return record.shared != SharedKind::none; }

std::string storage_of_owner(const MoveRecord& record) {
    switch (record.shared) {
        case SharedKind::none: break;
        case SharedKind::directory: return kSharedDirectory;
        case SharedKind::lun: return record.storage;
    }
    return {};
}

Status mount_shared(AgentContext& context, const MoveRecord& record, std::uint64_t epoch) {
    if (record.shared != SharedKind::lun) return {};
    ZF_TRY(const Storage lun, lun_of(record));
    return mount_lun(lun, own_reservation_key(context.root, epoch));
}

Status unmount_shared(AgentContext& context, const MoveRecord& record) {
    if (record.shared != SharedKind::lun) return {};
    ZF_TRY(const Storage lun, lun_of(record));
    return unmount_lun(lun, own_reservation_key(context.root, 0));
}

Status check_frozen_for(const MoveRecord& record, const std::string& nonce, const std::optional<OwnerRecord>& beside) {
    const auto differs = [&](const std::string& what) {
        return Error(Errc::conflict, "what lies in " + record.zonepath + " here is not what " + record.peer +
                                         " has frozen for move " + record.id + ": " + what)
            .remedy("see whether both hosts have the same storage there: findmnt -T " + record.zonepath);
    };
    if (nonce.empty()) return differs("nothing was said that would prove it");
    if (!beside) return differs("there is no owner record");
    if (beside->zone != record.zone || beside->zone_uuid != record.zone_uuid) {
        return differs("the owner record is of another zone");
    }
    const bool is_frozen = beside->state == Ownership::frozen && beside->epoch == record.epoch &&
                           beside->move_id == record.id && beside->host == record.peer;
    if (!is_frozen) {
        return differs("the owner record says " + std::string(ownership_name(beside->state)) + ", host " +
                       printable(beside->host) + ", epoch " + std::to_string(beside->epoch));
    }
    return beside->nonce == nonce ? Status() : Status(differs("its nonce is another one"));
}

Status verify_handover(AgentContext& context, const MoveRecord& record, const std::string& nonce) {
    const OwnerStore owners(context.root);
    if (record.shared == SharedKind::lun) {
        ZF_TRY(const Storage lun, lun_of(record));
        ZF_TRY_STATUS(check_lun_given_up(lun, own_reservation_key(context.root, 0)));
        ZF_TRY(const UniqueFd zonepath, open_lun_zonepath(record));
        ZF_TRY(const std::optional<OwnerRecord> beside, owners.load_in(zonepath.get(), record.zonepath));
        ZF_TRY_STATUS(check_frozen_for(record, nonce, beside));
        return check_root(zonepath.get(), record.zonepath);
    }
    ZF_TRY(const UniqueFd zonepath, open_directory(context.root.at(record.zonepath)));
    ZF_TRY(const std::optional<OwnerRecord> beside, owners.load_in(zonepath.get(), record.zonepath));
    ZF_TRY_STATUS(check_frozen_for(record, nonce, beside));
    return check_root(zonepath.get(), record.zonepath);
}

Status take_shared(AgentContext& context, const MoveRecord& record) {
    ZF_TRY_STATUS(mount_shared(context, record, holder_epoch(record)));
    ZF_TRY(const std::optional<OwnerRecord> beside, OwnerStore(context.root).load_beside(record.zonepath));
    const bool is_ours = beside && beside->host == context.settings.name && beside->epoch == holder_epoch(record) &&
                         beside->zone_uuid == record.zone_uuid;
    const bool by_word = record.owned_epoch > record.epoch + 1;  // adopted: a person has fenced the source
    Status sound = is_ours || by_word ? Status() : check_frozen_for(record, record.nonce, beside);
    if (!sound && record.shared == SharedKind::lun) (void)unmount_shared(context, record);  // not what was promised
    return sound;
}

}  // namespace zoneferry
