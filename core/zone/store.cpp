#include "core/zone/store.h"

#include <cerrno>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/config_xml.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kIndexBytesMax = 4U << 20U;  // about 30,000 zones

}  // namespace

Result<ZoneIndex> ZoneStore::read_index() const {
    const std::string path = root_.zones_directory() + "/index";
    if (!path_exists(path)) return ZoneIndex();
    ZF_TRY(const std::string text, read_file(path, kIndexBytesMax));
    return ZoneIndex::parse(text);
}

// What the unreadable lines of the index say is unknown, so nothing is said that they could make false.
Status ZoneStore::check_whole(const ZoneIndex& index) const {
    if (index.damage().empty()) return {};
    return Error(Errc::corrupt, root_.zones_directory() + "/index " + index.damage().front() +
                                    "; a zone could be missing from what can be read")
        .remedy("mend that line by hand: NAME:STATE:ZONEPATH:UUID");
}

template <class Change>
Status ZoneStore::change_index(Change change) {
    ZF_TRY_STATUS(make_directories(root_.zones_directory(), 0755));
    ZF_TRY_STATUS(make_directories(root_.run_directory() + "/zones", 0755));
    ZF_TRY(const FileLock held, FileLock::take(root_.run_directory() + "/zones/.index.lock"));
    ZF_TRY(ZoneIndex index, read_index());
    ZF_TRY_STATUS(change(index));
    return replace_file(root_.zones_directory() + "/index", index.text(), 0644);
}

Result<std::vector<ZoneEntry>> ZoneStore::list() const {
    ZF_TRY(const ZoneIndex index, read_index());
    ZF_TRY_STATUS(check_whole(index));
    return index.entries();
}

Result<std::vector<ZoneEntry>> ZoneStore::list_readable() const {
    ZF_TRY(const ZoneIndex index, read_index());
    return index.entries();
}

Result<ZoneEntry> ZoneStore::find(const ZoneName& name) const {
    ZF_TRY(const ZoneIndex index, read_index());
    const ZoneEntry* entry = index.find(name);
    if (entry == nullptr) {
        ZF_TRY_STATUS(check_whole(index));
        return Error(Errc::not_found, "there is no zone " + name.str() + " on this host").remedy("zoneadm list -c");
    }
    return *entry;
}

std::string ZoneStore::config_path(const ZoneName& name) const {
    return root_.zones_directory() + "/" + name.str() + ".xml";
}

Result<ZoneConfig> ZoneStore::config(const ZoneName& name) const {
    const std::string path = config_path(name);
    ZF_TRY(const std::string text, read_file(path, kXmlBytesMax));
    ZF_TRY(ZoneConfig config, parse_zone_document(text, path));
    if (config.name != name.str()) {
        return Error(Errc::corrupt,
                     path + " is the configuration of " + printable(config.name) + ", not of " + name.str());
    }
    return config;
}

Result<ZoneLock> ZoneStore::lock(const ZoneName& name) const {
    const std::string directory = root_.run_directory() + "/zones";
    const auto take = [&]() -> Result<FileLock> {
        ZF_TRY_STATUS(make_directories(directory, 0755));
        return FileLock::try_take(directory + "/" + name.str() + ".lock");
    };
    auto held = take();
    if (held) return ZoneLock(name, *std::move(held));
    if (held.error().system_error() == EACCES || held.error().system_error() == EPERM) {
        return Error(Errc::permission, "only root may change zone " + name.str() + " (" + held.error().text() + ")")
            .remedy("run the same command as root");
    }
    if (held.error().code() != Errc::busy) return std::move(held).error();
    return Error(Errc::busy, "another operation on zone " + name.str() + " is in progress; nothing was changed")
        .remedy("wait for it (zoneferry status shows moves), then try again");
}

Status ZoneStore::check_overlap(const ZoneConfig& config) const {
    ZF_TRY(const std::vector<ZoneEntry> zones, list());
    for (const ZoneEntry& other : zones) {
        if (other.name.str() == config.name || other.zonepath.empty()) continue;
        if (is_at_or_below(config.zonepath, other.zonepath) || is_at_or_below(other.zonepath, config.zonepath)) {
            return Error(Errc::conflict, "zonepath " + printable(config.zonepath) + " overlaps that of zone " +
                                             other.name.str() + ", " + printable(other.zonepath))
                .remedy("give the zone a zonepath of its own");
        }
    }
    return {};
}

Status ZoneStore::write_config(const ZoneConfig& config) const {
    return replace_file(root_.zones_directory() + "/" + config.name + ".xml", zone_document(config), 0644);
}

Status ZoneStore::create(const ZoneLock& lock, const ZoneConfig& config) {
    ZF_CHECK(lock.name().str() == config.name);
    ZF_TRY_STATUS(verify_config(config));
    ZF_TRY_STATUS(check_overlap(config));
    return change_index([&](ZoneIndex& index) -> Status {
        ZF_TRY_STATUS(check_whole(index));
        ZF_TRY_STATUS(index.add({lock.name(), ZoneState::configured, config.zonepath, ""}));
        return write_config(config);
    });
}

Status ZoneStore::save_config(const ZoneLock& lock, const ZoneConfig& config) {
    ZF_CHECK(lock.name().str() == config.name);
    ZF_TRY_STATUS(verify_config(config));
    ZF_TRY_STATUS(check_overlap(config));
    return change_index([&](ZoneIndex& index) -> Status {
        const ZoneEntry* found = index.find(lock.name());
        if (found == nullptr) return Error(Errc::not_found, "there is no zone " + config.name);
        ZoneEntry entry = *found;
        if (entry.zonepath != config.zonepath && entry.state != ZoneState::configured) {
            return Error(Errc::conflict, "the zonepath of zone " + config.name + " cannot change while it is " +
                                             std::string(state_name(entry.state)))
                .remedy("zoneadm -z " + config.name + " move NEW_ZONEPATH");
        }
        entry.zonepath = config.zonepath;
        ZF_TRY_STATUS(index.modify(entry));
        return write_config(config);
    });
}

Status ZoneStore::change_zonepath(const ZoneLock& lock, const std::string& zonepath) {
    ZF_TRY(ZoneConfig changed, config(lock.name()));
    changed.zonepath = zonepath;
    ZF_TRY_STATUS(verify_config(changed));
    ZF_TRY_STATUS(check_overlap(changed));
    return change_index([&](ZoneIndex& index) -> Status {
        const ZoneEntry* found = index.find(lock.name());
        if (found == nullptr) return Error(Errc::not_found, "there is no zone " + lock.name().str());
        ZoneEntry entry = *found;
        entry.zonepath = zonepath;
        ZF_TRY_STATUS(index.modify(entry));
        return write_config(changed);
    });
}

Status ZoneStore::change_state(const ZoneLock& lock, ZoneState expected, ZoneState wanted,
                               const std::optional<std::string>& uuid) {
    ZF_CHECK(wanted <= ZoneState::installed);
    ZF_CHECK(!uuid || is_uuid(*uuid));
    return change_index([&](ZoneIndex& index) -> Status {
        const ZoneEntry* found = index.find(lock.name());
        if (found == nullptr) return Error(Errc::not_found, "there is no zone " + lock.name().str());
        ZoneEntry entry = *found;
        if (entry.state != expected) {
            return Error(Errc::conflict, "zone " + entry.name.str() + " is " + std::string(state_name(entry.state)) +
                                             ", not " + std::string(state_name(expected)) + "; nothing was changed")
                .remedy("zoneadm -z " + entry.name.str() + " list -v shows its state");
        }
        entry.state = wanted;
        if (uuid) entry.uuid = *uuid;
        if (wanted == ZoneState::configured) entry.uuid.clear();
        if (wanted != ZoneState::configured && entry.uuid.empty()) entry.uuid = new_uuid();
        return index.modify(entry);
    });
}

Status ZoneStore::remove(const ZoneLock& lock) {
    ZF_TRY_STATUS(change_index([&](ZoneIndex& index) -> Status {
        const ZoneEntry* found = index.find(lock.name());
        if (found != nullptr && found->state != ZoneState::configured) {
            return Error(Errc::conflict, "zone " + lock.name().str() + " is " + std::string(state_name(found->state)) +
                                             " and cannot be deleted")
                .remedy("zoneadm -z " + lock.name().str() + " uninstall");
        }
        index.remove(lock.name());
        return {};
    }));
    return remove_file(config_path(lock.name()));
}

}  // namespace zoneferry
