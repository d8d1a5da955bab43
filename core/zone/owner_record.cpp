#include "core/zone/owner_record.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/index.h"
#include "core/zone/lease.h"
#include "core/zone/owner_seal.h"
#include "core/zone/state_binding.h"
#include "core/zone/storage.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kRecordBytesMax = 4096;
constexpr const char* kHead = "# zoneferry owner record 2";
constexpr const char* kFirstHead = "# zoneferry owner record 1";
constexpr std::array<std::string_view, 10> kKeys{
    "zone=", "zone_uuid=", "epoch=", "state=", "host=", "move_id=", "since_unix_ms=", "storage=", "nonce=", "seal="};
constexpr std::size_t kFirstKeys = 7;  // of version 1
constexpr const char* kZonepathName = ".zoneferry-owner";
constexpr std::array kStates{Ownership::owned,    Ownership::free,     Ownership::frozen,
                             Ownership::incoming, Ownership::released, Ownership::parked};

Error damaged(const std::string& why) { return Error(Errc::corrupt, "the owner record is damaged: " + why); }

bool is_plain_word(std::string_view text) {
    for (const char c : text) {
        if (c <= ' ' || c > '~') return false;
    }
    return text.size() <= 255;
}

// Words with single blanks between them.
bool is_plain_text(std::string_view text) {
    for (const char c : text) {
        if (c < ' ' || c > '~') return false;
    }
    return text.size() <= 2048;
}

Status check_values(const OwnerRecord& record) {
    if (!ZoneName::create(record.zone)) return damaged("'" + printable(record.zone) + "' is not a zone name");
    if (!record.zone_uuid.empty() && !is_uuid(record.zone_uuid)) return damaged("zone_uuid is not one");
    if (!is_plain_word(record.host) || record.host.empty()) return damaged("host is not a host name");
    if (!is_plain_word(record.move_id)) return damaged("move_id is not one");
    if (!is_plain_text(record.storage)) return damaged("storage is none");
    if (!is_plain_word(record.nonce)) return damaged("nonce is not one");
    if (record.since_unix_ms < 0) return damaged("since_unix_ms is negative");
    return {};
}

std::string who(const OwnerRecord& record) { return "zone " + printable(record.zone); }
std::string by_move(const OwnerRecord& record) {
    const std::string move = record.move_id.empty() ? std::string() : " by move " + printable(record.move_id);
    return " since " + format_time(record.since_unix_ms) + move;
}

}  // namespace

std::string_view ownership_name(Ownership state) {
    constexpr std::array<std::string_view, 6> kNames{"owned", "free", "frozen", "incoming", "released", "parked"};
    return kNames.at(static_cast<std::size_t>(state));
}

std::string owner_record_text(const OwnerRecord& record, const std::string& seal) {
    return std::string(kHead) + "\nzone=" + record.zone + "\nzone_uuid=" + record.zone_uuid +
           "\nepoch=" + std::to_string(record.epoch) + "\nstate=" + std::string(ownership_name(record.state)) +
           "\nhost=" + record.host + "\nmove_id=" + record.move_id +
           "\nsince_unix_ms=" + std::to_string(record.since_unix_ms) + "\nstorage=" + record.storage +
           "\nnonce=" + record.nonce + "\nseal=" + seal + "\nend\n";
}

Result<SealedRecord> parse_sealed_record(std::string_view text) {
    const auto lines = split(text, '\n');
    const std::size_t keys = lines.front() == kFirstHead ? kFirstKeys : kKeys.size();
    const bool known_head = lines.front() == kHead || lines.front() == kFirstHead;
    if (!known_head || lines.size() != keys + 3 || lines[keys + 1] != "end" || !lines.back().empty()) {
        return damaged("it does not begin and end as it should");
    }
    std::array<std::string_view, kKeys.size()> values;
    for (std::size_t i = 0; i < keys; ++i) {
        if (!lines[i + 1].starts_with(kKeys[i]))
            return damaged("line " + std::to_string(i + 2) + " is not " + std::string(kKeys[i]));
        values[i] = lines[i + 1].substr(kKeys[i].size());
    }
    OwnerRecord record{std::string(values[0]), std::string(values[1])};
    const auto epoch = parse_number<std::uint64_t>(values[2]);
    const auto since = parse_number<std::int64_t>(values[6]);
    if (!epoch || !since) return damaged("epoch or since_unix_ms is not a number");
    const auto known = std::find_if(kStates.begin(), kStates.end(),
                                    [&](Ownership state) { return ownership_name(state) == values[3]; });
    if (known == kStates.end()) return damaged("state '" + printable(values[3]) + "' is unknown");
    record.state = *known;
    record.epoch = *epoch;
    record.since_unix_ms = *since;
    record.host = values[4];
    record.move_id = values[5];
    record.storage = values[7];
    record.nonce = values[8];
    if (!is_plain_word(values[9])) return damaged("seal is none");
    ZF_TRY_STATUS(check_values(record));
    return SealedRecord{record, std::string(values[9])};
}

Result<OwnerRecord> parse_owner_record(std::string_view text) {
    ZF_TRY(SealedRecord sealed, parse_sealed_record(text));
    return std::move(sealed.record);
}

std::optional<OwnerRecord> effective_record(const std::optional<OwnerRecord>& of_host,
                                            const std::optional<OwnerRecord>& of_zonepath) {
    if (!of_zonepath) return of_host;
    const bool zonepath_newer = !of_host || of_zonepath->epoch > of_host->epoch;
    if (zonepath_newer) {
        OwnerRecord foreign = *of_zonepath;
        if (foreign.state == Ownership::owned) foreign.state = Ownership::released;
        return foreign;
    }
    if (of_zonepath->epoch < of_host->epoch) return of_host;
    return of_zonepath->state > of_host->state ? of_zonepath : of_host;
}

Status check_may_boot(const std::optional<OwnerRecord>& record) {
    if (!record || record->state == Ownership::owned) return {};
    const std::string id = record->move_id.empty() ? record->zone : printable(record->move_id);
    switch (record->state) {
        case Ownership::frozen:
            return Error(Errc::not_owner, who(*record) + " is being moved to another host" + by_move(*record) +
                                              "; until that move ends nobody may boot it")
                .remedy("zoneferry status " + id + "; to keep the zone here: zoneferry abort " + id);
        case Ownership::incoming:
            return Error(Errc::not_owner, who(*record) + " is on its way here" + by_move(*record) +
                                              " and still belongs to " + printable(record->host))
                .remedy("zoneferry status " + id);
        case Ownership::parked:
            return Error(Errc::not_owner, who(*record) + " is unavailable: host " + printable(record->host) +
                                              " holds it under epoch " + std::to_string(record->epoch) +
                                              by_move(*record) + ", so this copy is parked")
                .remedy("zoneferry status " + record->zone + "; only if that host cannot run it any more: " +
                        "zoneferry resolve " + record->zone + " --adopt");
        case Ownership::free:
            return Error(Errc::not_owner, who(*record) + " was detached on host " + printable(record->host) +
                                              by_move(*record) + " and belongs to the host that attaches it")
                .remedy("zoneadm -z " + record->zone + " attach");
        case Ownership::released:
        case Ownership::owned: break;
    }
    return Error(Errc::not_owner, who(*record) + " belongs to host " + printable(record->host) + by_move(*record) +
                                      "; it must not run twice")
        .remedy("zoneferry status " + id + "; to bring it back: zoneferry rollback " + id);
}

Status check_may_attach(const std::optional<OwnerRecord>& record) {
    if (record && record->state == Ownership::free) return {};
    return check_may_boot(record);
}

Status check_may_replace(const std::optional<OwnerRecord>& there, const OwnerRecord& mine, bool is_ours) {
    if (!there || there->epoch < mine.epoch) return {};
    if (there->epoch == mine.epoch && (is_ours || there->host == mine.host)) return {};
    return Error(Errc::not_owner, who(mine) + " belongs to host " + printable(there->host) + by_move(*there) +
                                      ", as the record on the shared storage says; nothing was changed there")
        .remedy("zoneferry status " + mine.zone + " on " + printable(there->host));
}

namespace {

// A network file system whose server went away, or serves something else now.
Error unreadable(Error error, const std::string& path) {
    const int why = error.system_error();
    if (why != ESTALE && why != EIO && why != ENOTCONN && why != ETIMEDOUT && why != EHOSTDOWN) {
        return std::move(error).during("reading " + path);
    }
    return Error(Errc::io, "the storage of " + path + " does not answer (" + std::strerror(why) +
                               "), so it is unknown which host has the zone; it is not touched here")
        .remedy("mount that storage again: findmnt -T " + path);
}

}  // namespace

Result<std::optional<OwnerRecord>> OwnerStore::read_copy(Result<UniqueFd> fd, const std::string& path,
                                                         bool is_hosts) const {
    if (!fd) {
        const int why = fd.error().system_error();
        if (why == ENOENT || why == ENOTDIR) return std::optional<OwnerRecord>();
        return unreadable(std::move(fd).error(), printable(path));
    }
    ZF_TRY(const struct stat info, stat_fd(fd->get()));
    if (!S_ISREG(info.st_mode)) return damaged(printable(path) + " is not a regular file");
    auto text = read_to_end(fd->get(), kRecordBytesMax);
    if (!text && text.error().system_error() != 0) return unreadable(std::move(text).error(), printable(path));
    if (!text) return Error(Errc::corrupt, "the owner record " + printable(path) + " is too large");
    auto sealed = parse_sealed_record(*text);
    Status sound =
        sealed ? check_seal(root_, owner_record_text(sealed->record), sealed->seal, is_hosts) : Status(sealed.error());
    if (sound) return std::optional<OwnerRecord>(std::move(sealed->record));
    return std::move(sound)
        .error()
        .during(printable(path))
        .remedy("zoneferry status of this zone on every host; then restore the file");
}

Result<std::optional<OwnerRecord>> OwnerStore::load_beside(const std::string& zonepath) const {
    auto directory = open_directory(root_.at(zonepath));
    if (!directory) {
        if (directory.error().system_error() == ENOENT) return std::optional<OwnerRecord>();
        return unreadable(std::move(directory).error(), zonepath);
    }
    return load_in(directory->get(), zonepath);
}

Result<std::optional<OwnerRecord>> OwnerStore::load_in(int zonepath, const std::string& shown) const {
    return read_copy(open_beneath(zonepath, kZonepathName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
                     shown + "/" + kZonepathName, false);
}

Result<std::optional<OwnerRecord>> OwnerStore::load(const ZoneName& zone, const std::string& zonepath) const {
    const std::string path = host_path(zone.str());
    ZF_TRY(const std::optional<OwnerRecord> of_host,
           read_copy(open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK), path, true));
    if (of_host && of_host->zone != zone.str()) {
        return damaged(host_path(zone.str()) + " is about zone " + printable(of_host->zone));
    }
    if (zonepath.empty()) return of_host;
    ZF_TRY(const std::optional<OwnerRecord> of_zonepath, load_beside(zonepath));
    return effective_record(of_host, of_zonepath);
}

Status OwnerStore::write_beside(const OwnerRecord& record, const std::string& zonepath) {
    ZF_TRY(const std::string seal, make_seal(root_, owner_record_text(record)));
    ZF_TRY(const UniqueFd directory, open_directory(root_.at(zonepath)));
    ZF_TRY_STATUS(replace_file_at(directory.get(), kZonepathName, owner_record_text(record, seal), 0600));
    if (is_lun(record.storage)) settle_lun(directory.get());
    return {};
}

Result<bool> OwnerStore::is_sealed_here(const std::string& zonepath) const {
    ZF_TRY(const UniqueFd directory, open_directory(root_.at(zonepath)));
    const auto file = open_beneath(directory.get(), kZonepathName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return false;
    ZF_TRY(const std::string text, read_to_end(file->get(), kRecordBytesMax));
    const auto sealed = parse_sealed_record(text);
    return sealed && is_own_seal(root_, sealed->seal);
}

// The host's first: alone, the zonepath's would read as another host's.
Status OwnerStore::write_both(const OwnerRecord& record, const std::string& zonepath) {
    ZF_TRY(const std::string seal, make_seal(root_, owner_record_text(record)));
    ZF_TRY_STATUS(make_directories(root_.state_directory() + "/owners", 0755));
    ZF_TRY_STATUS(replace_file(host_path(record.zone), owner_record_text(record, seal), 0600));
    return zonepath.empty() ? Status() : write_beside(record, zonepath);
}

Status OwnerStore::save(const OwnerRecord& record, const std::string& zonepath) {
    if (Status sound = check_values(record); !sound) return Error(Errc::invalid, sound.error().sentence());
    if (record.storage.empty() || zonepath.empty()) return write_both(record, zonepath);
    const bool is_holder = record.state == Ownership::owned || record.state == Ownership::frozen;
    if (!is_holder) return write_both(record, "");
    ZF_TRY(const StorageLock held, StorageLock::take(root_.at(zonepath)));
    ZF_TRY(const std::optional<OwnerRecord> there, load_beside(zonepath));
    ZF_TRY(const bool is_ours, is_sealed_here(zonepath));
    ZF_TRY_STATUS(check_may_replace(there, record, is_ours));
    return write_both(record, zonepath);
}

Status OwnerStore::claim(const OwnerRecord& record, const std::string& zonepath) {
    if (Status sound = check_values(record); !sound) return Error(Errc::invalid, sound.error().sentence());
    ZF_TRY(const StorageLock held, StorageLock::take(root_.at(zonepath)));
    ZF_TRY(const std::optional<OwnerRecord> there, load_beside(zonepath));
    ZF_TRY_STATUS(check_may_replace(there, record));
    return write_both(record, zonepath);
}

Status OwnerStore::set_free(const OwnerRecord& record, const std::string& zonepath) {
    ZF_CHECK(record.state == Ownership::free);
    if (Status sound = check_values(record); !sound) return Error(Errc::invalid, sound.error().sentence());
    ZF_TRY_STATUS(write_beside(record, zonepath));
    return remove_file(host_path(record.zone));
}

Status OwnerStore::remove(const ZoneName& zone, const std::string& zonepath) {
    // The zonepath's copy first: alone it would read as another host's.
    if (!zonepath.empty() && path_exists(root_.at(zonepath))) {
        ZF_TRY_STATUS(remove_file(root_.at(zonepath) + "/" + kZonepathName));
    }
    return remove_file(host_path(zone.str()));
}

Status may_boot(const HostRoot& root, const ZoneName& zone, const std::string& zonepath) {
    ZF_TRY_STATUS(check_state_binding(root));
    ZF_TRY_STATUS(check_not_doubled(root));
    ZF_TRY(const std::optional<OwnerRecord> record, OwnerStore(root).load(zone, zonepath));
    return check_may_boot(record);
}

Status may_attach(const HostRoot& root, const ZoneName& zone, const std::string& zonepath) {
    ZF_TRY(const std::optional<OwnerRecord> record, OwnerStore(root).load(zone, zonepath));
    return check_may_attach(record);
}

}  // namespace zoneferry
