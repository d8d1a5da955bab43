#include "core/zone/index.h"

#include <algorithm>
#include <optional>

#include "core/base/digest.h"
#include "core/base/text.h"
#include "core/zone/config.h"

namespace zoneferry {
namespace {

std::optional<ZoneEntry> parse_line(std::string_view line) {
    const std::size_t name_end = line.find(':');
    if (name_end == std::string_view::npos) return std::nullopt;
    const std::size_t state_end = line.find(':', name_end + 1);
    if (state_end == std::string_view::npos) return std::nullopt;
    const auto name = ZoneName::create(line.substr(0, name_end));
    const auto state = stored_state_from_name(line.substr(name_end + 1, state_end - name_end - 1));
    if (!name || !state) return std::nullopt;

    std::string_view rest = line.substr(state_end + 1);
    std::string_view path;
    if (rest.starts_with('"')) {
        const std::size_t quote = rest.find('"', 1);
        if (quote == std::string_view::npos) return std::nullopt;
        path = rest.substr(1, quote - 1);
        rest.remove_prefix(quote + 1);
        if (!rest.empty() && rest.front() != ':') return std::nullopt;
    } else {
        path = rest.substr(0, rest.find(':'));
        rest.remove_prefix(path.size());
    }
    if (!path.empty() && !is_plain_path(path)) return std::nullopt;
    if (!rest.empty()) rest.remove_prefix(1);
    if (rest.find(':') != std::string_view::npos) return std::nullopt;  // two lines that became one
    return ZoneEntry{*name, *state, std::string(path), is_uuid(rest) ? std::string(rest) : std::string()};
}

std::string line_of(const ZoneEntry& entry) {
    const bool quote = entry.zonepath.find(':') != std::string::npos;
    const std::string path = quote ? "\"" + entry.zonepath + "\"" : entry.zonepath;
    return entry.name.str() + ":" + std::string(state_name(entry.state)) + ":" + path + ":" + entry.uuid;
}

}  // namespace

ZoneIndex ZoneIndex::parse(std::string_view text) {
    ZoneIndex index;
    if (text.empty()) return index;
    const bool is_cut = !text.ends_with('\n');
    if (!is_cut) text.remove_suffix(1);
    const auto lines = split(text, '\n');
    for (std::size_t number = 1; number <= lines.size(); ++number) {
        const std::string_view line = lines[number - 1];
        const bool is_global = line.starts_with("global:") && std::count(line.begin(), line.end(), ':') <= 3;
        const bool says_nothing = line.empty() || line.starts_with('#') || is_global;
        std::optional<ZoneEntry> entry = says_nothing ? std::nullopt : parse_line(line);
        const bool is_second = entry && index.find(entry->name) != nullptr;
        const bool ends_early = is_cut && number == lines.size();
        // The first line of a name counts; a second one is kept as it is.
        if (entry && !is_second && !ends_early) {
            index.lines_.push_back({"", {*entry}});
            continue;
        }
        index.lines_.push_back({std::string(line), {}});
        const std::string where = "line " + std::to_string(number) + ": ";
        if (ends_early) {
            index.damage_.push_back(where + "ends in the middle: the file was cut off");
        } else if (is_second) {
            index.damage_.push_back(where + "zone " + entry->name.str() + " is there twice");
        } else if (!says_nothing) {
            index.damage_.push_back(where + "is no zone: \"" + printable(line.substr(0, 80)) + "\"");
        }
    }
    return index;
}

std::string ZoneIndex::text() const {
    std::string out;
    for (const Line& line : lines_) out += (line.entry.empty() ? line.kept : line_of(line.entry.front())) + "\n";
    return out;
}

std::vector<ZoneEntry> ZoneIndex::entries() const {
    std::vector<ZoneEntry> out;
    for (const Line& line : lines_) out.insert(out.end(), line.entry.begin(), line.entry.end());
    return out;
}

const ZoneEntry* ZoneIndex::find(const ZoneName& name) const {
    for (const Line& line : lines_) {
        if (!line.entry.empty() && line.entry.front().name == name) return &line.entry.front();
    }
    return nullptr;
}

Status ZoneIndex::add(const ZoneEntry& entry) {
    if (find(entry.name) != nullptr) return Error(Errc::conflict, "zone " + entry.name.str() + " exists already");
    lines_.push_back({"", {entry}});
    return {};
}

Status ZoneIndex::modify(const ZoneEntry& entry) {
    for (Line& line : lines_) {
        if (line.entry.empty() || line.entry.front().name != entry.name) continue;
        line.entry.front() = entry;
        return {};
    }
    return Error(Errc::not_found, "there is no zone " + entry.name.str());
}

void ZoneIndex::remove(const ZoneName& name) {
    std::erase_if(lines_, [&](const Line& line) { return !line.entry.empty() && line.entry.front().name == name; });
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex) return false;
    }
    return true;
}

std::string new_uuid() {
    ByteVector bytes = random_bytes(16);
    bytes[6] = (bytes[6] & std::byte{0x0f}) | std::byte{0x40};
    bytes[8] = (bytes[8] & std::byte{0x3f}) | std::byte{0x80};
    std::string hex = to_hex(bytes);
    for (const std::size_t at : {20U, 16U, 12U, 8U}) hex.insert(at, "-");
    return hex;
}

}  // namespace zoneferry
