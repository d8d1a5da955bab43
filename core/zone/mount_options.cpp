#include "core/zone/mount_options.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"

namespace zoneferry {
namespace {

// How a file system keeps times and when it writes; none of it names a thing of the host.
constexpr std::array<std::string_view, 19> kPlain{
    "noatime",      "nodiratime",   "strictatime",       "lazytime",   "nodev",  "sync",       "dirsync",
    "discard",      "nodiscard",    "discard=async",     "ssd",        "nossd",  "autodefrag", "largeio",
    "data=journal", "data=ordered", "errors=remount-ro", "nodelalloc", "swalloc"};

struct Number {
    std::string_view name;
    unsigned least;
    unsigned most;
};
constexpr std::array<Number, 2> kNumbers{Number{"commit=", 1, 300}, Number{"stripe=", 1, 65'536}};

// "64k", "1m"
constexpr std::array<std::string_view, 2> kSizes{"allocsize=", "logbsize="};

constexpr std::array<std::string_view, 2> kCompression{"compress=", "compress-force="};

bool is_size(std::string_view text) {
    if (!text.empty() && (text.back() == 'k' || text.back() == 'm')) text.remove_suffix(1);
    const auto number = parse_number<unsigned>(text);
    return number && *number >= 1;
}

bool is_compression(std::string_view text) {
    const std::string_view kind = text.substr(0, text.find(':'));
    if (kind != "zstd" && kind != "zlib" && kind != "lzo") return false;
    if (kind.size() == text.size()) return true;
    const auto level = parse_number<unsigned>(text.substr(kind.size() + 1));
    return level && *level >= 1 && *level <= 15;
}

}  // namespace

bool is_mount_option_allowed(std::string_view option) {
    if (std::find(kPlain.begin(), kPlain.end(), option) != kPlain.end()) return true;
    for (const Number& each : kNumbers) {
        if (!option.starts_with(each.name)) continue;
        const auto number = parse_number<unsigned>(option.substr(each.name.size()));
        return number && *number >= each.least && *number <= each.most;
    }
    for (const std::string_view name : kSizes) {
        if (option.starts_with(name)) return is_size(option.substr(name.size()));
    }
    return std::any_of(kCompression.begin(), kCompression.end(), [&](std::string_view name) {
        return option.starts_with(name) && is_compression(option.substr(name.size()));
    });
}

std::vector<std::string> mount_option_problems(const std::vector<std::string>& options) {
    std::vector<std::string> problems;
    if (options.size() > kMountOptionsMax) {
        problems.push_back("more than " + std::to_string(kMountOptionsMax) + " mount options");
        return problems;
    }
    for (const std::string& option : options) {
        if (is_mount_option_allowed(option)) continue;
        problems.push_back("the mount option '" + printable(std::string_view(option).substr(0, 80)) +
                           "' is not among those that may go with a zone");
    }
    return problems;
}

std::vector<std::string> options_to_carry(std::string_view of_mount, std::string_view of_file_system) {
    std::vector<std::string> carried;
    for (const std::string_view shown : {of_mount, of_file_system}) {
        for (const std::string_view option : split(shown, ',')) {
            const bool is_new = std::find(carried.begin(), carried.end(), option) == carried.end();
            if (is_mount_option_allowed(option) && is_new) carried.emplace_back(option);
        }
    }
    if (carried.size() > kMountOptionsMax) carried.resize(kMountOptionsMax);
    return carried;
}

}  // namespace zoneferry
