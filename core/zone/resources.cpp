#include "core/zone/resources.h"

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

Error invalid(const std::string& sentence) { return Error(Errc::invalid, sentence); }

std::string value_text(const RctlValue& value) {
    return "(priv=" + value.priv + ",limit=" + value.limit + ",action=" + value.action + ")";
}

Result<RctlValue> parse_value(std::string_view text) {
    RctlValue value;
    if (!text.starts_with('(') || !text.ends_with(')')) {
        return invalid("rctl value must be (priv=P,limit=N,action=A), not " + printable(text));
    }
    for (const std::string_view part : split(text.substr(1, text.size() - 2), ',')) {
        const std::size_t equals = part.find('=');
        const std::string_view name = trim(part.substr(0, equals));
        const std::string content(equals == std::string_view::npos ? "" : trim(part.substr(equals + 1)));
        if (name == "priv")
            value.priv = content;
        else if (name == "limit")
            value.limit = content;
        else if (name == "action")
            value.action = content;
        else
            return invalid("rctl value has no part '" + printable(name) + "'");
    }
    return value;
}

// "512m" -> bytes, as zonecfg's capped-memory takes it.
Result<std::string> parse_bytes(std::string_view text) {
    constexpr std::string_view kUnits = "kmgt";
    std::uint64_t unit = 1;
    std::string_view digits = text;
    if (!text.empty()) {
        const char last = static_cast<char>(text.back() | 0x20);
        if (const std::size_t at = kUnits.find(last); at != std::string_view::npos) {
            unit = std::uint64_t{1} << (10 * (at + 1));
            digits.remove_suffix(1);
        }
    }
    const auto number = parse_number<std::uint64_t>(digits);
    const auto bytes = number ? checked_multiply(*number, unit) : std::nullopt;
    if (!bytes || *bytes == 0) return invalid("physical '" + printable(text) + "' is not a size such as 512m");
    return std::to_string(*bytes);
}

void add_filesystems(const ZoneConfig& config, std::vector<Resource>& out) {
    for (const FsResource& fs : config.filesystems) {
        Resource resource{"fs", {{"dir", fs.directory}, {"special", fs.special}}};
        if (!fs.raw.empty()) resource.properties.emplace_back("raw", fs.raw);
        resource.properties.emplace_back("type", fs.type);
        for (const std::string& option : fs.options) resource.properties.emplace_back("options", option);
        out.push_back(std::move(resource));
    }
}

void add_storage(const ZoneConfig& config, std::vector<Resource>& out) {
    if (!config.storage) return;
    Resource resource{"storage", {{"type", config.storage->type}, {"uuid", config.storage->uuid}}};
    if (!config.storage->device.empty()) resource.properties.emplace_back("device", config.storage->device);
    if (!config.storage->directory.empty()) resource.properties.emplace_back("dir", config.storage->directory);
    for (const std::string& option : config.storage->options) resource.properties.emplace_back("options", option);
    out.push_back(std::move(resource));
}

void add_networks(const ZoneConfig& config, std::vector<Resource>& out) {
    for (const NetResource& net : config.nets) {
        Resource resource{"net", {}};
        if (!net.address.empty()) resource.properties.emplace_back("address", net.address);
        resource.properties.emplace_back("physical", net.physical);
        if (!net.defrouter.empty()) resource.properties.emplace_back("defrouter", net.defrouter);
        out.push_back(std::move(resource));
    }
}

void add_dedicated_cpu(const ZoneConfig& config, std::vector<Resource>& out) {
    if (!config.dedicated_cpu) return;
    const ProcessorSet& set = *config.dedicated_cpu;
    Resource resource{"dedicated-cpu",
                      {{"ncpus", set.ncpu_min == set.ncpu_max ? set.ncpu_min : set.ncpu_min + "-" + set.ncpu_max}}};
    if (config.temporary_importance) resource.properties.emplace_back("importance", *config.temporary_importance);
    out.push_back(std::move(resource));
}

Status set_dedicated_cpu(ZoneConfig& config, const Resource& resource) {
    const std::string ncpus = resource.get("ncpus");
    const std::size_t dash = ncpus.find('-');
    config.dedicated_cpu =
        ProcessorSet{ncpus.substr(0, dash), dash == std::string::npos ? ncpus : ncpus.substr(dash + 1)};
    if (!parse_number<unsigned>(config.dedicated_cpu->ncpu_min) ||
        !parse_number<unsigned>(config.dedicated_cpu->ncpu_max)) {
        return invalid("ncpus '" + printable(ncpus) + "' is neither a number nor MIN-MAX");
    }
    if (const std::string importance = resource.get("importance"); !importance.empty())
        config.temporary_importance = importance;
    return {};
}

Status set_one(ZoneConfig& config, const Resource& r) {
    if (r.type == "net") {
        config.nets.push_back({r.get("address"), r.get("physical"), r.get("defrouter")});
    } else if (r.type == "fs") {
        config.filesystems.push_back({r.get("special"), r.get("raw"), r.get("dir"), r.get("type"), r.all("options")});
    } else if (r.type == "storage") {
        if (config.storage) return invalid("storage is there twice");
        config.storage = StorageResource{r.get("type"), r.get("uuid"), r.get("device"), r.get("dir"), r.all("options")};
    } else if (r.type == "inherit-pkg-dir") {
        config.inherited_directories.push_back(r.get("dir"));
    } else if (r.type == "attr") {
        config.attrs.push_back({r.get("name"), r.get("type"), r.get("value")});
    } else if (r.type == "device") {
        config.devices.push_back(r.get("match"));
    } else if (r.type == "deleted-device") {
        config.deleted_devices.push_back(r.get("match"));
    } else if (r.type == "dataset") {
        config.datasets.push_back(r.get("name"));
    } else if (r.type == "rctl") {
        RctlResource rctl{r.get("name"), {}};
        for (const std::string& text : r.all("value")) {
            ZF_TRY(RctlValue value, parse_value(text));
            rctl.values.push_back(std::move(value));
        }
        config.rctls.push_back(std::move(rctl));
    } else if (r.type == "capped-memory") {
        if (config.capped_memory) return invalid("capped-memory is there twice");
        ZF_TRY(config.capped_memory, parse_bytes(r.get("physical")));
    } else {
        if (config.dedicated_cpu) return invalid("dedicated-cpu is there twice");
        return set_dedicated_cpu(config, r);
    }
    return {};
}

}  // namespace

std::string Resource::get(std::string_view property) const {
    for (const auto& [name, value] : properties) {
        if (name == property) return value;
    }
    return "";
}

std::vector<std::string> Resource::all(std::string_view property) const {
    std::vector<std::string> values;
    for (const auto& [name, value] : properties) {
        if (name == property) values.push_back(value);
    }
    return values;
}

const std::vector<ResourceType>& resource_types() {
    static const std::vector<ResourceType> kTypes{
        {"inherit-pkg-dir", {"dir"}, {"dir"}, nullptr},
        {"fs", {"dir", "special", "raw", "type", "options"}, {"dir", "special", "type"}, "options"},
        {"storage", {"type", "uuid", "device", "dir", "options"}, {"type", "uuid"}, "options"},
        {"net", {"address", "physical", "defrouter"}, {"physical"}, nullptr},
        {"device", {"match"}, {"match"}, nullptr},
        {"deleted-device", {"match"}, {"match"}, nullptr},  // obsolete; kept so that an export loses nothing
        {"rctl", {"name", "value"}, {"name", "value"}, "value"},
        {"attr", {"name", "type", "value"}, {"name", "type", "value"}, nullptr},
        {"dataset", {"name"}, {"name"}, nullptr},
        {"capped-memory", {"physical"}, {"physical"}, nullptr},
        {"dedicated-cpu", {"ncpus", "importance"}, {"ncpus"}, nullptr},
    };
    return kTypes;
}

const ResourceType* resource_type(std::string_view name) {
    for (const ResourceType& type : resource_types()) {
        if (type.name == name) return &type;
    }
    return nullptr;
}

std::vector<Resource> resources_of(const ZoneConfig& config) {
    std::vector<Resource> out;
    for (const std::string& directory : config.inherited_directories)
        out.push_back({"inherit-pkg-dir", {{"dir", directory}}});
    add_filesystems(config, out);
    add_storage(config, out);
    add_networks(config, out);
    for (const std::string& match : config.devices) out.push_back({"device", {{"match", match}}});
    for (const std::string& match : config.deleted_devices) out.push_back({"deleted-device", {{"match", match}}});
    for (const RctlResource& rctl : config.rctls) {
        Resource resource{"rctl", {{"name", rctl.name}}};
        for (const RctlValue& value : rctl.values) resource.properties.emplace_back("value", value_text(value));
        out.push_back(std::move(resource));
    }
    for (const AttrResource& attr : config.attrs) {
        out.push_back({"attr", {{"name", attr.name}, {"type", attr.type}, {"value", attr.value}}});
    }
    for (const std::string& dataset : config.datasets) out.push_back({"dataset", {{"name", dataset}}});
    if (config.capped_memory) out.push_back({"capped-memory", {{"physical", *config.capped_memory}}});
    add_dedicated_cpu(config, out);
    return out;
}

Status set_resources(ZoneConfig& config, const std::vector<Resource>& resources) {
    ZoneConfig changed = config;
    changed.inherited_directories.clear();
    changed.filesystems.clear();
    changed.storage.reset();
    changed.nets.clear();
    changed.devices.clear();
    changed.deleted_devices.clear();
    changed.rctls.clear();
    changed.attrs.clear();
    changed.datasets.clear();
    changed.capped_memory.reset();
    if (changed.dedicated_cpu) changed.temporary_importance.reset();
    changed.dedicated_cpu.reset();
    for (const Resource& resource : resources) ZF_TRY_STATUS(set_one(changed, resource));
    config = std::move(changed);
    return {};
}

std::vector<std::pair<std::string, std::string>> global_properties(const ZoneConfig& config) {
    return {{"zonepath", config.zonepath},
            {"brand", config.brand},
            {"autoboot", config.autoboot ? "true" : "false"},
            {"bootargs", config.bootargs},
            {"pool", config.pool},
            {"limitpriv", config.limitpriv},
            {"scheduling-class", config.scheduling_class},
            {"ip-type", std::string(ip_type_name(config.ip_type))}};
}

Status set_global_property(ZoneConfig& config, std::string_view property, const std::string& value) {
    if (property == "zonepath")
        config.zonepath = value;
    else if (property == "brand")
        config.brand = value;
    else if (property == "bootargs")
        config.bootargs = value;
    else if (property == "pool")
        config.pool = value;
    else if (property == "limitpriv")
        config.limitpriv = value;
    else if (property == "scheduling-class")
        config.scheduling_class = value;
    else if (property == "autoboot" && (value == "true" || value == "false"))
        config.autoboot = value == "true";
    else if (property == "autoboot")
        return invalid("autoboot is true or false, not '" + printable(value) + "'");
    else if (property == "ip-type" && (value == "shared" || value == "exclusive")) {
        config.ip_type = value == "shared" ? IpType::shared : IpType::exclusive;
    } else if (property == "ip-type") {
        return invalid("ip-type is shared or exclusive, not '" + printable(value) + "'");
    } else {
        return invalid("a zone has no property '" + printable(property) + "'");
    }
    return {};
}

}  // namespace zoneferry
