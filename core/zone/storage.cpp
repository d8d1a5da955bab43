#include "core/zone/storage.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/zone/config.h"
#include "core/zone/mount_options.h"

namespace zoneferry {
namespace {

constexpr const char* kLun = "lun";
constexpr std::size_t kWordBytesMax = 255;

bool is_word(std::string_view text) {
    const auto is_plain = [](char c) { return c > ' ' && c <= '~'; };
    return !text.empty() && text.size() <= kWordBytesMax && std::all_of(text.begin(), text.end(), is_plain);
}

std::string word_of(const std::string& text) { return text.empty() ? "-" : text; }
std::string text_of(std::string_view word) { return word == "-" ? std::string() : std::string(word); }

bool is_same_device(const Storage& one, const Storage& other) {
    return one.device_id == other.device_id && one.size_bytes == other.size_bytes;
}

// A declaration knows no size.
bool is_declared(const Storage& storage) { return storage.size_bytes == 0; }

bool fits_device(const Storage& wanted, const Storage& found) {
    if (!is_declared(wanted)) return is_same_device(wanted, found);
    return wanted.device_id.empty() || wanted.device_id == found.device_id;
}

}  // namespace

bool is_lun(std::string_view storage) { return storage.starts_with("lun "); }

std::string lun_text(const Storage& storage) {
    std::vector<std::string> words{kLun,
                                   word_of(storage.file_system),
                                   word_of(storage.uuid),
                                   word_of(storage.device_id),
                                   std::to_string(storage.size_bytes),
                                   word_of(storage.mount_point)};
    if (!storage.options.empty()) words.push_back(join(storage.options, ","));
    return join(words, " ");
}

Result<Storage> parse_lun(std::string_view text) {
    const auto words = split(text, ' ');
    const Error no_lun(Errc::invalid, "'" + printable(text) + "' describes no LUN");
    const bool has_options = words.size() == 7;
    if ((words.size() != 6 && !has_options) || words[0] != kLun || !std::all_of(words.begin(), words.end(), is_word))
        return no_lun;
    const auto size = parse_number<std::uint64_t>(words[4]);
    if (!size) return no_lun;
    Storage storage{text_of(words[1]), text_of(words[2]), text_of(words[3]), *size, text_of(words[5]), {}};
    for (const std::string_view option : has_options ? split(words[6], ',') : std::vector<std::string_view>()) {
        storage.options.emplace_back(option);
    }
    if (!mount_option_problems(storage.options).empty()) return no_lun;
    const bool named =
        storage.file_system.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string::npos;
    if (!named || storage.uuid.empty() || !is_plain_path(storage.mount_point) || storage.mount_point == "/")
        return no_lun;
    return storage;
}

std::optional<Storage> declared_lun(const ZoneConfig& config) {
    if (!config.storage) return std::nullopt;
    const StorageResource& from = *config.storage;
    const std::string& place = from.directory.empty() ? config.zonepath : from.directory;
    return Storage{from.type, from.uuid, from.device, 0, place, from.options};
}

bool is_lun_on(const Storage& wanted, const Storage& found) {
    return wanted.file_system == found.file_system && wanted.uuid == found.uuid && fits_device(wanted, found);
}

std::string lun_problem(const MountedAt& at, const std::string& zonepath, const std::vector<std::string>& others) {
    const Storage& storage = at.storage;
    if (at.device.empty()) return storage.file_system + " lies on no block device";
    if (!at.is_whole) return storage.mount_point + " shows only a part of its file system";
    if (storage.mount_point == "/") return "it lies on the host's own root file system";
    if (!is_word(storage.mount_point)) return "its mount point has blanks in its name";
    if (!is_at_or_below(zonepath, storage.mount_point)) return zonepath + " is not below its mount point";
    if (storage.uuid.empty()) return "its file system has no UUID";
    for (const std::string& other : others) {
        if (is_at_or_below(other, storage.mount_point)) return "the zone in " + other + " lies on it, too";
    }
    return {};
}

FoundLun find_lun(const Storage& wanted, const std::vector<BlockDevice>& devices) {
    FoundLun found;
    bool has_clone = false;
    std::string first_id;  // of what was found for a declaration that names no device
    for (const BlockDevice& device : devices) {
        if (device.storage.uuid != wanted.uuid || device.storage.file_system != wanted.file_system) continue;
        const std::string& id = device.storage.device_id;
        if (!fits_device(wanted, device.storage)) {
            has_clone = true;
            found.problem = device.path + " has the file system's UUID " + wanted.uuid + " but is another device (" +
                            word_of(id) + ", not " + word_of(wanted.device_id) + "): a clone";
        } else if (!found.device.empty() && id != first_id) {
            return {"", "STORAGE_CLONE",
                    found.device + " and " + device.path + " have both the file system's UUID " + wanted.uuid +
                        "; which of them is the zone's, its configuration must say (zonecfg: storage, device)"};
        } else if (device.is_busy) {
            return {"", "STORAGE_MOUNTED",
                    device.path + " is in use on this host" +
                        (device.storage.mount_point.empty() ? std::string()
                                                            : ", mounted at " + device.storage.mount_point)};
        } else if (found.device.empty()) {
            found.device = device.path;
            first_id = id;
        }
    }
    if (!found.device.empty()) return {found.device, "", ""};
    if (has_clone) {
        found.code = "STORAGE_CLONE";
        return found;
    }
    return {"", "STORAGE_MISSING", "no block device of this host carries the file system " + wanted.uuid};
}

}  // namespace zoneferry
