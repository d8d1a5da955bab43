#include "core/zone/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/text.h"
#include "core/zone/mount_options.h"
#include "core/zone/name.h"

namespace zoneferry {
namespace {

constexpr std::size_t kPathBytesMax = 1023;
constexpr std::size_t kValueBytesMax = 4096;

using Problems = std::vector<std::string>;

std::string quoted(std::string_view text) { return "'" + printable(text.substr(0, 200)) + "'"; }

bool has_control_bytes(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_plain_value(std::string_view text) {
    return text.size() <= kValueBytesMax && is_utf8(text) && !has_control_bytes(text);
}

bool is_word(std::string_view text) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    };
    return !text.empty() && text.size() <= 255 && text.front() != '-' && text.front() != '.' &&
           std::all_of(text.begin(), text.end(), allowed);
}

// The address family of "ADDRESS" or "ADDRESS/PREFIX"; 0 if it is neither IPv4 nor IPv6.
int address_family(std::string_view text, bool prefix_allowed) {
    const std::size_t slash = text.find('/');
    const std::string address(text.substr(0, slash));
    std::array<unsigned char, 16> bytes{};
    int family = 0;
    if (::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) family = AF_INET;
    if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) family = AF_INET6;
    if (slash == std::string_view::npos) return family;
    const auto prefix = parse_number<unsigned>(text.substr(slash + 1));
    const unsigned prefix_max = family == AF_INET ? 32 : 128;
    return prefix_allowed && prefix && *prefix >= 1 && *prefix <= prefix_max ? family : 0;
}

template <class Items, class Key>
void refuse_twice(const Items& items, Key key, const char* what, Problems& out) {
    for (std::size_t i = 0; i < items.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (key(items[i]) == key(items[j])) {
                out.push_back(std::string(what) + " " + quoted(key(items[i])) + " is there twice");
                break;
            }
        }
    }
}

void check_net(const NetResource& net, IpType ip_type, Problems& out) {
    // 15 is the kernel's limit (IFNAMSIZ).
    if (!is_word(net.physical) || net.physical.size() > 15) {
        out.push_back("net: physical " + quoted(net.physical) + " is not an interface name");
    }
    if (net.address.empty() && ip_type == IpType::shared) {
        out.push_back("net: a zone that shares the host's network needs an address on " + quoted(net.physical));
    }
    if (net.address.empty() && !net.defrouter.empty()) {
        out.push_back("net: defrouter " + quoted(net.defrouter) + " needs an address");
    }
    const int family = net.address.empty() ? 0 : address_family(net.address, true);
    if (!net.address.empty() && family == 0) {
        out.push_back("net: address " + quoted(net.address) +
                      " is not an IPv4 or IPv6 address with an optional /prefix");
    }
    if (net.defrouter.empty()) return;
    const int router = address_family(net.defrouter, false);
    if (router == 0) {
        out.push_back("net: defrouter " + quoted(net.defrouter) + " is not an IPv4 or IPv6 address");
    } else if (family != 0 && family != router) {
        out.push_back("net: defrouter " + quoted(net.defrouter) + " and address " + quoted(net.address) +
                      " are of different families");
    }
}

// What the zone must own itself or the runtime mounts: neither can be inherited from the host.
constexpr std::array kNeverInherited{"/etc", "/var", "/root", "/home", "/proc", "/sys", "/dev", "/run", "/tmp"};

void check_inherited(const std::string& directory, const ZoneConfig& config, Problems& out) {
    if (!is_plain_path(directory) || directory == "/") {
        out.push_back("inherit-pkg-dir: " + quoted(directory) + " is not an absolute, plain path below /");
        return;
    }
    for (const char* own : kNeverInherited) {
        if (is_at_or_below(directory, own)) {
            out.push_back("inherit-pkg-dir: " + quoted(directory) + " cannot be inherited: every zone has its own " +
                          own);
        }
    }
    for (const std::string& other : config.inherited_directories) {
        if (directory != other && is_at_or_below(directory, other)) {
            out.push_back("inherit-pkg-dir: " + quoted(directory) + " lies below the inherited " + quoted(other));
        }
    }
}

void check_filesystem(const FsResource& fs, const ZoneConfig& config, Problems& out) {
    if (!is_plain_path(fs.directory) || fs.directory == "/") {
        out.push_back("fs: directory " + quoted(fs.directory) + " is not an absolute, plain path below /");
    }
    if (!is_word(fs.type)) out.push_back("fs: type " + quoted(fs.type) + " is not a file system type");
    if (fs.special.empty() || fs.special.size() > kPathBytesMax) out.push_back("fs: special is not given or too long");
    if (fs.type == "lofs" && !is_plain_path(fs.special)) {
        out.push_back("fs: special " + quoted(fs.special) + " must be an absolute, plain path for type lofs");
    }
    if (!fs.raw.empty() && !is_plain_path(fs.raw))
        out.push_back("fs: raw " + quoted(fs.raw) + " is not an absolute path");
    for (const std::string& option : fs.options) {
        if (option.empty() || option.find(',') != std::string::npos || !is_plain_value(option)) {
            out.push_back("fs: option " + quoted(option) + " is not one plain word");
        }
    }
    for (const std::string& inherited : config.inherited_directories) {
        if (is_at_or_below(inherited, fs.directory)) {
            out.push_back("fs: directory " + quoted(fs.directory) + " would hide the inherited " + quoted(inherited));
        }
    }
}

// It becomes a text of words (core/zone/storage.h), and a mount of this host that a peer may have asked for.
void check_storage(const StorageResource& storage, const ZoneConfig& config, Problems& out) {
    constexpr std::array<std::string_view, 4> kKinds{"wwid:", "dm:", "serial:", "file:"};
    const auto is_one_word = [](std::string_view text) {
        return text.size() <= 255 && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
    };
    if (storage.type.empty() ||
        storage.type.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") != std::string::npos)
        out.push_back("storage: type " + quoted(storage.type) + " is not a file system type");
    if (!is_word(storage.uuid)) out.push_back("storage: uuid " + quoted(storage.uuid) + " is not one");
    const bool is_named = std::any_of(kKinds.begin(), kKinds.end(), [&](std::string_view kind) {
        return storage.device.starts_with(kind) && storage.device.size() > kind.size();
    });
    if (!storage.device.empty() && (!is_named || !is_one_word(storage.device))) {
        out.push_back("storage: device " + quoted(storage.device) +
                      " is not what a device carries (wwid:..., serial:..., dm:...)");
    }
    const std::string& place = storage.directory.empty() ? config.zonepath : storage.directory;
    if (!is_plain_path(place) || place == "/" || !is_one_word(place)) {
        out.push_back("storage: dir " + quoted(place) + " is not an absolute, plain path below /, without blanks");
    } else if (!is_at_or_below(config.zonepath, place)) {
        out.push_back("storage: the zonepath does not lie below " + quoted(place));
    }
    for (const std::string& problem : mount_option_problems(storage.options)) out.push_back("storage: " + problem);
}

void check_attr(const AttrResource& attr, Problems& out) {
    if (!is_word(attr.name)) out.push_back("attr: name " + quoted(attr.name) + " is not a plain word");
    const bool sound = (attr.type == "string") ||
                       (attr.type == "boolean" && (attr.value == "true" || attr.value == "false")) ||
                       (attr.type == "int" && parse_number<std::int64_t>(attr.value)) ||
                       (attr.type == "uint" && parse_number<std::uint64_t>(attr.value));
    if (!sound) {
        out.push_back("attr " + quoted(attr.name) + ": " + quoted(attr.value) + " is not a value of type " +
                      quoted(attr.type) + " (boolean, int, uint or string)");
    }
}

void check_rctl(const RctlResource& rctl, Problems& out) {
    if (!is_word(rctl.name)) out.push_back("rctl: name " + quoted(rctl.name) + " is not a plain word");
    if (rctl.values.empty()) out.push_back("rctl " + quoted(rctl.name) + " has no value");
    for (const RctlValue& value : rctl.values) {
        if (value.priv != "basic" && value.priv != "privileged" && value.priv != "system") {
            out.push_back("rctl " + quoted(rctl.name) + ": priv " + quoted(value.priv) +
                          " is not basic, privileged or system");
        }
        if (!parse_number<std::uint64_t>(value.limit)) {
            out.push_back("rctl " + quoted(rctl.name) + ": limit " + quoted(value.limit) + " is not a number");
        }
        if (value.action != "none" && value.action != "deny" &&
            !(value.action.starts_with("signal=") && is_word(value.action.substr(7)))) {
            out.push_back("rctl " + quoted(rctl.name) + ": action " + quoted(value.action) +
                          " is not none, deny or signal=NAME");
        }
    }
}

void check_resources(const ZoneConfig& config, Problems& out) {
    const auto same = [](const std::string& text) { return text; };
    for (const NetResource& net : config.nets) check_net(net, config.ip_type, out);
    for (const std::string& directory : config.inherited_directories) check_inherited(directory, config, out);
    for (const FsResource& fs : config.filesystems) check_filesystem(fs, config, out);
    if (config.storage) check_storage(*config.storage, config, out);
    for (const AttrResource& attr : config.attrs) check_attr(attr, out);
    for (const RctlResource& rctl : config.rctls) check_rctl(rctl, out);
    for (const std::string& match : config.devices) {
        if (!match.starts_with("/dev/")) out.push_back("device: match " + quoted(match) + " does not begin with /dev/");
    }
    for (const std::string& dataset : config.datasets) {
        if (dataset.empty() || dataset.front() == '/')
            out.push_back("dataset: " + quoted(dataset) + " is not a dataset name");
    }
    if (config.capped_memory && parse_number<std::uint64_t>(*config.capped_memory).value_or(0) == 0) {
        out.push_back("capped-memory: physical " + quoted(*config.capped_memory) + " is not a number of bytes");
    }
    std::vector<std::string> addresses;
    for (const NetResource& net : config.nets) {
        if (!net.address.empty()) addresses.push_back(net.address.substr(0, net.address.find('/')));
    }
    refuse_twice(addresses, same, "net: address", out);
    refuse_twice(config.inherited_directories, same, "inherit-pkg-dir:", out);
    refuse_twice(
        config.filesystems, [](const FsResource& fs) { return fs.directory; }, "fs: directory", out);
    refuse_twice(
        config.attrs, [](const AttrResource& attr) { return attr.name; }, "attr", out);
    refuse_twice(
        config.rctls, [](const RctlResource& rctl) { return rctl.name; }, "rctl", out);
}

// Every free text of the configuration, to look for control bytes in one place.
std::vector<std::string_view> all_texts(const ZoneConfig& c) {
    std::vector<std::string_view> texts{c.limitpriv, c.bootargs, c.pool, c.scheduling_class};
    for (const FsResource& fs : c.filesystems) texts.push_back(fs.special);
    for (const AttrResource& attr : c.attrs) texts.push_back(attr.value);
    for (const RctlResource& rctl : c.rctls) {
        for (const RctlValue& value : rctl.values) texts.push_back(value.action);
    }
    texts.insert(texts.end(), c.devices.begin(), c.devices.end());
    texts.insert(texts.end(), c.deleted_devices.begin(), c.deleted_devices.end());
    texts.insert(texts.end(), c.datasets.begin(), c.datasets.end());
    if (c.temporary_importance) texts.push_back(*c.temporary_importance);
    if (c.dedicated_cpu) {
        texts.push_back(c.dedicated_cpu->ncpu_min);
        texts.push_back(c.dedicated_cpu->ncpu_max);
    }
    return texts;
}

}  // namespace

std::string_view ip_type_name(IpType type) { return type == IpType::exclusive ? "exclusive" : "shared"; }

bool is_native_brand(std::string_view brand) { return brand == "native" || brand == "cluster"; }

bool is_plain_path(std::string_view path) {
    if (path.empty() || path.front() != '/' || path.size() > kPathBytesMax || !is_plain_value(path)) return false;
    if (path == "/") return true;
    for (const std::string_view part : split(path.substr(1), '/')) {
        if (part.empty() || part == "." || part == "..") return false;
    }
    return true;
}

bool is_at_or_below(std::string_view path, std::string_view directory) {
    if (directory == "/") return true;
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

std::vector<std::string> config_problems(const ZoneConfig& config) {
    Problems out;
    if (const auto name = ZoneName::create(config.name); !name) out.push_back(name.error().sentence());
    if (config.zonepath.empty()) {
        out.push_back("zonepath is not set");
    } else if (!is_plain_path(config.zonepath) || config.zonepath == "/") {
        out.push_back("zonepath " + quoted(config.zonepath) + " is not an absolute, plain path below /");
    }
    if (config.zonepath.find('"') != std::string::npos) {
        out.push_back("zonepath " + quoted(config.zonepath) + " holds a double quote, which the index cannot hold");
    }
    if (!is_native_brand(config.brand)) out.push_back("brand " + quoted(config.brand) + " is not native or cluster");
    for (const std::string_view text : all_texts(config)) {
        if (!is_plain_value(text)) out.push_back("value " + quoted(text) + " is too long or holds control characters");
    }
    check_resources(config, out);
    return out;
}

Status verify_config(const ZoneConfig& config) {
    const std::vector<std::string> problems = config_problems(config);
    if (problems.empty()) return {};
    return Error(Errc::invalid, problems.front()).remedy("zonecfg -z " + printable(config.name));
}

}  // namespace zoneferry
