#include "agent/settings.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <sstream>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kFileBytesMax = 1 << 20;

std::string where(const std::string& path, const toml::source_region& region) {
    return path + ":" + std::to_string(region.begin.line) + ":" + std::to_string(region.begin.column);
}

Status take_text(const toml::node& node, const std::string& key, std::string& into) {
    if (const auto text = node.value_exact<std::string>()) {
        into = *text;
        return {};
    }
    return Error(Errc::invalid, key + " must be a text in quotes");
}

Status take_path(const toml::node& node, const std::string& key, std::string& into) {
    ZF_TRY_STATUS(take_text(node, key, into));
    if (into.starts_with('/') && into.find('\0') == std::string::npos) return {};
    return Error(Errc::invalid, key + " must be an absolute path");
}

template <class Number>
Status take_number(const toml::node& node, const std::string& key, std::int64_t lowest, std::int64_t highest,
                   Number& into) {
    const auto number = node.value_exact<std::int64_t>();
    if (!number || *number < lowest || *number > highest) {
        return Error(Errc::invalid,
                     key + " must be a number from " + std::to_string(lowest) + " to " + std::to_string(highest));
    }
    into = static_cast<Number>(*number);
    return {};
}

Status take_choice(const toml::node& node, const std::string& key, bool& into) {
    if (const auto choice = node.value_exact<bool>()) {
        into = *choice;
        return {};
    }
    return Error(Errc::invalid, key + " must be true or false");
}

Status take_transport(const toml::node& node, const std::string& key, Transport& into) {
    const auto word = node.value_exact<std::string>();
    if (!word || (*word != "auto" && *word != "stream")) return Error(Errc::invalid, key + " must be auto or stream");
    into = *word == "auto" ? Transport::automatic : Transport::stream;
    return {};
}

Status take_list(const toml::node& node, const std::string& key, std::vector<std::string>& into) {
    const toml::array* array = node.as_array();
    if (array == nullptr) return Error(Errc::invalid, key + " must be a list of texts");
    into.clear();
    for (const toml::node& item : *array) {
        std::string text;
        ZF_TRY_STATUS(take_text(item, key, text));
        into.push_back(std::move(text));
    }
    return {};
}

Status take_paths(const toml::node& node, const std::string& key, std::vector<std::string>& into) {
    ZF_TRY_STATUS(take_list(node, key, into));
    for (const std::string& path : into) {
        const bool is_plain = path.starts_with('/') && path.size() > 1 && !path.ends_with('/') &&
                              path.find("/.") == std::string::npos && path.find("//") == std::string::npos;
        if (!is_plain) return Error(Errc::invalid, key + " must name plain, absolute paths below /");
    }
    return {};
}

Status take(const std::string& key, const toml::node& node, Settings& settings) {
    constexpr std::int64_t kDay = 86'400;
    if (key == "name") return take_text(node, key, settings.name);
    if (key == "listen") return take_text(node, key, settings.listen);
    if (key == "port") return take_number(node, key, 1, 65'535, settings.port);
    if (key == "addresses") return take_list(node, key, settings.addresses);
    if (key == "halt_grace_s") return take_number(node, key, 0, kDay, settings.halt_grace_s);
    if (key == "retry_s") return take_number(node, key, 0, kDay, settings.retry_s);
    if (key == "quiesced_retry_s") return take_number(node, key, 0, kDay, settings.quiesced_retry_s);
    if (key == "boot_wait_s") return take_number(node, key, 0, kDay, settings.boot_wait_s);
    if (key == "refresh_s") return take_number(node, key, 1, kDay, settings.refresh_s);
    if (key == "answer_s") return take_number(node, key, 1, 3600, settings.answer_s);
    if (key == "change_tracking") return take_choice(node, key, settings.change_tracking);
    if (key == "transfer_memory_mb") return take_number(node, key, 64, 65'536, settings.transfer_memory_mb);
    if (key == "extra_fs_roots") return take_paths(node, key, settings.extra_fs_roots);
    if (key == "transport") return take_transport(node, key, settings.transport);
    if (key == "history_days") return take_number(node, key, 1, 36'500, settings.history_days);
    if (key == "fence_hook") return take_path(node, key, settings.fence_hook);
    if (key == "fence_timeout_s") return take_number(node, key, 1, 3600, settings.fence_timeout_s);
    return Error(Errc::invalid, "unknown setting '" + printable(key) + "'");
}

Status read_settings(const std::string& path, Settings& settings) {
    if (!path_exists(path)) return {};
    ZF_TRY(const std::string text, read_file(path, kFileBytesMax));
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        return Error(Errc::invalid,
                     where(path, parsed.error().source()) + ": " + std::string(parsed.error().description()));
    }
    for (const auto& [key, node] : parsed.table()) {
        Status taken = take(std::string(key.str()), node, settings);
        if (!taken) return std::move(taken).error().during(where(path, node.source()));
    }
    return {};
}

std::vector<std::string> own_addresses() {
    std::vector<std::string> addresses;
    ifaddrs* raw = nullptr;
    if (::getifaddrs(&raw) != 0) return addresses;
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> list(raw, &::freeifaddrs);
    for (const ifaddrs* item = raw; item != nullptr; item = item->ifa_next) {
        if (item->ifa_addr == nullptr || (item->ifa_flags & IFF_LOOPBACK) != 0) continue;
        const int family = item->ifa_addr->sa_family;
        if (family != AF_INET && family != AF_INET6) continue;
        std::array<char, NI_MAXHOST> text{};
        const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        if (::getnameinfo(item->ifa_addr, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) continue;
        const std::string address = text.data();
        if (address.find('%') == std::string::npos) addresses.push_back(address);  // not link-local ones
    }
    return addresses;
}

}  // namespace

Result<Settings> load_settings(const HostRoot& root) {
    Settings settings;
    const std::string main_file = root.config_directory() + "/agent.toml";
    ZF_TRY_STATUS(read_settings(main_file, settings));
    if (const auto names = list_directory(main_file + ".d")) {
        for (const std::string& name : *names) {
            if (name.ends_with(".toml")) ZF_TRY_STATUS(read_settings(main_file + ".d/" + name, settings));
        }
    }
    if (settings.name.empty()) {
        std::array<char, 256> name{};
        if (::gethostname(name.data(), name.size() - 1) != 0) return system_error("gethostname", errno);
        settings.name = name.data();
    }
    if (settings.addresses.empty()) settings.addresses = own_addresses();
    return settings;
}

}  // namespace zoneferry
