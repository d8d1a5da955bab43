#include "core/zone/config_xml.h"

#include <algorithm>
#include <functional>
#include <set>
#include <sstream>

#include "core/base/text.h"

namespace zoneferry {
namespace {

using Node = pugi::xml_node;

std::string text_of(const Node& node, const char* name) { return node.attribute(name).value(); }

void set(Node node, const char* name, const std::string& value) {
    node.append_attribute(name).set_value(value.c_str());
}
void set_if(Node node, const char* name, const std::string& value) {
    if (!value.empty()) set(node, name, value);
}

bool is_number(const std::string& text) { return parse_number<std::uint64_t>(text).has_value(); }

class ConfigReader {
public:
    explicit ConfigReader(const XmlDocument& xml) : xml_(xml) {}

    Result<ZoneConfig> read(const Node& zone, const std::vector<std::string_view>& foreign_children) {
        if (std::string_view(zone.name()) != "zone") {
            return xml_.error(zone, "the root element is " + shown_element(zone) + " instead of <zone>");
        }
        ZF_TRY_STATUS(read_zone_attributes(zone));
        for (const Node& child : zone.children()) {
            if (child.type() == pugi::node_comment) continue;
            if (child.type() != pugi::node_element) return xml_.error(child, "<zone> holds text");
            const std::string_view name = child.name();
            if (std::find(foreign_children.begin(), foreign_children.end(), name) != foreign_children.end()) continue;
            ZF_TRY_STATUS(read_child(child));
        }
        return std::move(config_);
    }

private:
    // Reads the children of node, which must all be elements called name.
    Status read_children(const Node& node, std::string_view name, const std::function<Status(const Node&)>& read) {
        for (const Node& child : node.children()) {
            if (child.type() == pugi::node_comment) continue;
            if (child.type() != pugi::node_element || child.name() != name) {
                return xml_.error(child, "unknown content in " + shown_element(node) + ": '" +
                                             printable(std::string_view(child.name()).substr(0, 80)) + "'");
            }
            ZF_TRY_STATUS(read(child));
        }
        return {};
    }

    // An element that is one attribute.
    Result<std::string> read_single(const Node& node, const std::string& attribute) {
        ZF_TRY_STATUS(xml_.check_attributes(node, {attribute + "!"}));
        ZF_TRY_STATUS(xml_.check_empty(node));
        return text_of(node, attribute.c_str());
    }

    Status read_into(const Node& node, const char* attribute, std::vector<std::string>& out) {
        ZF_TRY(std::string value, read_single(node, attribute));
        out.push_back(std::move(value));
        return {};
    }

    Status refuse_twice(const Node& node, const std::string& key) {
        if (seen_.insert(std::string(node.name()) + " " + key).second) return {};
        const std::string which = key.empty() ? "" : " '" + printable(key.substr(0, 80)) + "'";
        return xml_.error(node, shown_element(node) + which + " is there twice");
    }

    Status read_filesystem(const Node& node) {
        ZF_TRY_STATUS(xml_.check_attributes(node, {"special!", "raw", "directory!", "type!"}));
        FsResource fs{
            text_of(node, "special"), text_of(node, "raw"), text_of(node, "directory"), text_of(node, "type"), {}};
        ZF_TRY_STATUS(refuse_twice(node, fs.directory));
        ZF_TRY_STATUS(
            read_children(node, "fsoption", [&](const Node& option) { return read_into(option, "name", fs.options); }));
        config_.filesystems.push_back(std::move(fs));
        return {};
    }

    Status read_storage(const Node& node) {
        ZF_TRY_STATUS(refuse_twice(node, ""));
        ZF_TRY_STATUS(xml_.check_attributes(node, {"type!", "uuid!", "device", "directory"}));
        StorageResource storage{
            text_of(node, "type"), text_of(node, "uuid"), text_of(node, "device"), text_of(node, "directory"), {}};
        ZF_TRY_STATUS(read_children(node, "fsoption",
                                    [&](const Node& option) { return read_into(option, "name", storage.options); }));
        config_.storage = std::move(storage);
        return {};
    }

    Status read_inherited(const Node& node) {
        ZF_TRY(std::string directory, read_single(node, "directory"));
        ZF_TRY_STATUS(refuse_twice(node, directory));
        config_.inherited_directories.push_back(std::move(directory));
        return {};
    }

    Status read_network(const Node& node) {
        ZF_TRY_STATUS(xml_.check_attributes(node, {"address", "defrouter", "physical!"}));
        ZF_TRY_STATUS(xml_.check_empty(node));
        config_.nets.push_back({text_of(node, "address"), text_of(node, "physical"), text_of(node, "defrouter")});
        return {};
    }

    Status read_attr(const Node& node) {
        ZF_TRY_STATUS(xml_.check_attributes(node, {"name!", "type!", "value!"}));
        ZF_TRY_STATUS(xml_.check_empty(node));
        ZF_TRY_STATUS(refuse_twice(node, text_of(node, "name")));
        config_.attrs.push_back({text_of(node, "name"), text_of(node, "type"), text_of(node, "value")});
        return {};
    }

    Status read_rctl(const Node& node) {
        ZF_TRY_STATUS(xml_.check_attributes(node, {"name!"}));
        RctlResource rctl{text_of(node, "name"), {}};
        ZF_TRY_STATUS(refuse_twice(node, rctl.name));
        const auto read_value = [&](const Node& value) -> Status {
            ZF_TRY_STATUS(xml_.check_attributes(value, {"priv!", "limit!", "action!"}));
            ZF_TRY_STATUS(xml_.check_empty(value));
            rctl.values.push_back({text_of(value, "priv"), text_of(value, "limit"), text_of(value, "action")});
            if (is_number(rctl.values.back().limit)) return {};
            return xml_.error(value, "limit '" + printable(rctl.values.back().limit.substr(0, 80)) + "' is no number");
        };
        ZF_TRY_STATUS(read_children(node, "rctl-value", read_value));
        config_.rctls.push_back(std::move(rctl));
        return {};
    }

    Status read_pset(const Node& node) {
        ZF_TRY_STATUS(refuse_twice(node, ""));
        ZF_TRY_STATUS(xml_.check_attributes(node, {"ncpu_min!", "ncpu_max!"}));
        ZF_TRY_STATUS(xml_.check_empty(node));
        config_.dedicated_cpu = ProcessorSet{text_of(node, "ncpu_min"), text_of(node, "ncpu_max")};
        return {};
    }

    Status read_once(const Node& node, const char* attribute, std::optional<std::string>& out) {
        ZF_TRY_STATUS(refuse_twice(node, ""));
        ZF_TRY(out, read_single(node, attribute));
        return {};
    }

    Status read_memory(const Node& node) {
        ZF_TRY_STATUS(read_once(node, "physcap", config_.capped_memory));
        if (is_number(*config_.capped_memory)) return {};
        return xml_.error(node, "physcap '" + printable(config_.capped_memory->substr(0, 80)) + "' is no number");
    }

    Status read_child(const Node& node) {
        const std::string_view name = node.name();
        if (name == "filesystem") return read_filesystem(node);
        if (name == "storage") return read_storage(node);
        if (name == "inherited-pkg-dir") return read_inherited(node);
        if (name == "network") return read_network(node);
        if (name == "device") return read_into(node, "match", config_.devices);
        if (name == "deleted-device") return read_into(node, "match", config_.deleted_devices);
        if (name == "rctl") return read_rctl(node);
        if (name == "attr") return read_attr(node);
        if (name == "dataset") return read_into(node, "name", config_.datasets);
        if (name == "tmp_pool") return read_once(node, "importance", config_.temporary_importance);
        if (name == "pset") return read_pset(node);
        if (name == "mcap") return read_memory(node);
        return xml_.error(node, "unknown element " + shown_element(node) + " in <zone>");
    }

    Status read_zone_attributes(const Node& zone) {
        ZF_TRY_STATUS(xml_.check_attributes(zone, {"name!", "zonepath!", "autoboot!", "ip-type", "pool", "limitpriv",
                                                   "bootargs", "brand", "scheduling-class", "version"}));
        config_.name = text_of(zone, "name");
        config_.zonepath = text_of(zone, "zonepath");
        const std::string autoboot = text_of(zone, "autoboot");
        if (autoboot != "true" && autoboot != "false") return xml_.error(zone, "autoboot is neither true nor false");
        config_.autoboot = autoboot == "true";
        const std::string ip_type = text_of(zone, "ip-type");
        if (ip_type != "" && ip_type != "shared" && ip_type != "exclusive") {
            return xml_.error(zone, "ip-type is neither shared nor exclusive");
        }
        config_.ip_type = ip_type == "exclusive" ? IpType::exclusive : IpType::shared;
        if (zone.attribute("version") && text_of(zone, "version") != "1") {
            return Error(Errc::unsupported, xml_.error(zone, "the configuration's format is not version 1").sentence());
        }
        config_.pool = text_of(zone, "pool");
        config_.limitpriv = text_of(zone, "limitpriv");
        config_.bootargs = text_of(zone, "bootargs");
        config_.scheduling_class = text_of(zone, "scheduling-class");
        if (const std::string brand = text_of(zone, "brand"); !brand.empty()) config_.brand = brand;
        return {};
    }

    const XmlDocument& xml_;
    ZoneConfig config_;
    std::set<std::string> seen_;  // "element key" of what must not come twice
};

void write_single(Node zone, const char* element, const char* attribute, const std::vector<std::string>& values) {
    for (const std::string& value : values) set(zone.append_child(element), attribute, value);
}

void write_filesystems(const ZoneConfig& config, Node zone) {
    for (const FsResource& fs : config.filesystems) {
        Node node = zone.append_child("filesystem");
        set(node, "special", fs.special);
        set_if(node, "raw", fs.raw);
        set(node, "directory", fs.directory);
        set(node, "type", fs.type);
        write_single(node, "fsoption", "name", fs.options);
    }
}

void write_storage(const ZoneConfig& config, Node zone) {
    if (!config.storage) return;
    Node node = zone.append_child("storage");
    set(node, "type", config.storage->type);
    set(node, "uuid", config.storage->uuid);
    set_if(node, "device", config.storage->device);
    set_if(node, "directory", config.storage->directory);
    write_single(node, "fsoption", "name", config.storage->options);
}

void write_networks(const ZoneConfig& config, Node zone) {
    for (const NetResource& net : config.nets) {
        Node node = zone.append_child("network");
        set(node, "address", net.address);
        set(node, "physical", net.physical);
        set_if(node, "defrouter", net.defrouter);
    }
}

void write_rctls(const ZoneConfig& config, Node zone) {
    for (const RctlResource& rctl : config.rctls) {
        Node node = zone.append_child("rctl");
        set(node, "name", rctl.name);
        for (const RctlValue& value : rctl.values) {
            Node inner = node.append_child("rctl-value");
            set(inner, "priv", value.priv);
            set(inner, "limit", value.limit);
            set(inner, "action", value.action);
        }
    }
}

}  // namespace

Result<ZoneConfig> read_zone_element(const XmlDocument& xml, const std::vector<std::string_view>& foreign_children) {
    return ConfigReader(xml).read(xml.root(), foreign_children);
}

void write_zone_element(const ZoneConfig& config, Node zone) {
    set(zone, "name", config.name);
    set(zone, "zonepath", config.zonepath);
    set(zone, "autoboot", config.autoboot ? "true" : "false");
    set(zone, "brand", config.brand);
    set(zone, "ip-type", std::string(ip_type_name(config.ip_type)));
    set_if(zone, "pool", config.pool);
    set_if(zone, "limitpriv", config.limitpriv);
    set_if(zone, "bootargs", config.bootargs);
    set_if(zone, "scheduling-class", config.scheduling_class);
    write_single(zone, "inherited-pkg-dir", "directory", config.inherited_directories);
    write_filesystems(config, zone);
    write_storage(config, zone);
    write_networks(config, zone);
    write_single(zone, "device", "match", config.devices);
    write_single(zone, "deleted-device", "match", config.deleted_devices);
    write_rctls(config, zone);
    write_single(zone, "dataset", "name", config.datasets);
    for (const AttrResource& attr : config.attrs) {
        Node node = zone.append_child("attr");
        set(node, "name", attr.name);
        set(node, "type", attr.type);
        set(node, "value", attr.value);
    }
    if (config.temporary_importance) set(zone.append_child("tmp_pool"), "importance", *config.temporary_importance);
    if (config.dedicated_cpu) {
        Node node = zone.append_child("pset");
        set(node, "ncpu_min", config.dedicated_cpu->ncpu_min);
        set(node, "ncpu_max", config.dedicated_cpu->ncpu_max);
    }
    if (config.capped_memory) set(zone.append_child("mcap"), "physcap", *config.capped_memory);
}

Result<ZoneConfig> parse_zone_document(std::string_view xml, std::string_view file) {
    ZF_TRY(const XmlDocument document, XmlDocument::load(xml, file));
    return read_zone_element(document);
}

pugi::xml_node begin_zone_document(pugi::xml_document& document) {
    Node declaration = document.append_child(pugi::node_declaration);
    set(declaration, "version", "1.0");
    set(declaration, "encoding", "UTF-8");
    document.append_child(pugi::node_doctype)
        .set_value(
            "zone PUBLIC \"-//Sun Microsystems Inc//DTD Zones//EN\" \"file:///usr/share/lib/xml/dtd/zonecfg.dtd.1\"");
    document.append_child(pugi::node_comment).set_value("\n    DO NOT EDIT THIS FILE. Use zonecfg instead.\n");
    return document.append_child("zone");
}

std::string xml_text(const pugi::xml_document& document) {
    std::ostringstream out;
    document.save(out, "  ", pugi::format_indent, pugi::encoding_utf8);
    return out.str();
}

std::string zone_document(const ZoneConfig& config) {
    pugi::xml_document document;
    write_zone_element(config, begin_zone_document(document));
    return xml_text(document);
}

}  // namespace zoneferry
