#include "core/zone/config_xml.h"

#include <algorithm>
#include <functional>
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

// Reads the children of node, which must all be elements called name.
Status read_children(const Node& node, std::string_view name, const std::function<Status(const Node&)>& read) {
    for (const Node& child : node.children()) {
        if (child.type() == pugi::node_comment) continue;
        if (child.type() != pugi::node_element || child.name() != name) {
            return Error(Errc::invalid,
                         "unknown content in <" + std::string(node.name()) + ">: '" + printable(child.name()) + "'");
        }
        ZF_TRY_STATUS(read(child));
    }
    return {};
}

// An element that is one attribute.
Status read_single(const Node& node, const char* attribute, std::vector<std::string>& out) {
    ZF_TRY_STATUS(check_attributes(node, {attribute}));
    ZF_TRY_STATUS(check_empty(node));
    if (!node.attribute(attribute)) {
        return Error(Errc::invalid, "attribute '" + std::string(attribute) + "' of <" + node.name() + "> is missing");
    }
    out.push_back(text_of(node, attribute));
    return {};
}

Status read_single_once(const Node& node, const char* attribute, std::optional<std::string>& out) {
    if (out) return Error(Errc::invalid, "<" + std::string(node.name()) + "> is there twice");
    std::vector<std::string> values;
    ZF_TRY_STATUS(read_single(node, attribute, values));
    out = values.front();
    return {};
}

Status read_filesystem(const Node& node, ZoneConfig& config) {
    ZF_TRY_STATUS(check_attributes(node, {"special!", "raw", "directory!", "type!"}));
    FsResource fs{
        text_of(node, "special"), text_of(node, "raw"), text_of(node, "directory"), text_of(node, "type"), {}};
    ZF_TRY_STATUS(
        read_children(node, "fsoption", [&](const Node& option) { return read_single(option, "name", fs.options); }));
    config.filesystems.push_back(std::move(fs));
    return {};
}

Status read_network(const Node& node, ZoneConfig& config) {
    ZF_TRY_STATUS(check_attributes(node, {"address", "defrouter", "physical!"}));
    ZF_TRY_STATUS(check_empty(node));
    config.nets.push_back({text_of(node, "address"), text_of(node, "physical"), text_of(node, "defrouter")});
    return {};
}

Status read_attr(const Node& node, ZoneConfig& config) {
    ZF_TRY_STATUS(check_attributes(node, {"name!", "type!", "value!"}));
    ZF_TRY_STATUS(check_empty(node));
    config.attrs.push_back({text_of(node, "name"), text_of(node, "type"), text_of(node, "value")});
    return {};
}

Status read_rctl(const Node& node, ZoneConfig& config) {
    ZF_TRY_STATUS(check_attributes(node, {"name!"}));
    RctlResource rctl{text_of(node, "name"), {}};
    const auto read_value = [&](const Node& value) -> Status {
        ZF_TRY_STATUS(check_attributes(value, {"priv!", "limit!", "action!"}));
        ZF_TRY_STATUS(check_empty(value));
        rctl.values.push_back({text_of(value, "priv"), text_of(value, "limit"), text_of(value, "action")});
        return {};
    };
    ZF_TRY_STATUS(read_children(node, "rctl-value", read_value));
    config.rctls.push_back(std::move(rctl));
    return {};
}

Status read_pset(const Node& node, ZoneConfig& config) {
    if (config.dedicated_cpu) return Error(Errc::invalid, "<pset> is there twice");
    ZF_TRY_STATUS(check_attributes(node, {"ncpu_min!", "ncpu_max!"}));
    ZF_TRY_STATUS(check_empty(node));
    config.dedicated_cpu = ProcessorSet{text_of(node, "ncpu_min"), text_of(node, "ncpu_max")};
    return {};
}

Status read_child(const Node& node, ZoneConfig& config) {
    const std::string_view name = node.name();
    if (name == "filesystem") return read_filesystem(node, config);
    if (name == "inherited-pkg-dir") return read_single(node, "directory", config.inherited_directories);
    if (name == "network") return read_network(node, config);
    if (name == "device") return read_single(node, "match", config.devices);
    if (name == "deleted-device") return read_single(node, "match", config.deleted_devices);
    if (name == "rctl") return read_rctl(node, config);
    if (name == "attr") return read_attr(node, config);
    if (name == "dataset") return read_single(node, "name", config.datasets);
    if (name == "tmp_pool") return read_single_once(node, "importance", config.temporary_importance);
    if (name == "pset") return read_pset(node, config);
    if (name == "mcap") return read_single_once(node, "physcap", config.capped_memory);
    return Error(Errc::invalid, "unknown element <" + printable(name.substr(0, 80)) + "> in <zone>");
}

Status read_zone_attributes(const Node& zone, ZoneConfig& config) {
    ZF_TRY_STATUS(check_attributes(zone, {"name!", "zonepath!", "autoboot!", "ip-type", "pool", "limitpriv", "bootargs",
                                          "brand", "scheduling-class", "version"}));
    config.name = text_of(zone, "name");
    config.zonepath = text_of(zone, "zonepath");
    const std::string autoboot = text_of(zone, "autoboot");
    if (autoboot != "true" && autoboot != "false") return Error(Errc::invalid, "autoboot is neither true nor false");
    config.autoboot = autoboot == "true";
    const std::string ip_type = text_of(zone, "ip-type");
    if (ip_type != "" && ip_type != "shared" && ip_type != "exclusive") {
        return Error(Errc::invalid, "ip-type is neither shared nor exclusive");
    }
    config.ip_type = ip_type == "exclusive" ? IpType::exclusive : IpType::shared;
    if (zone.attribute("version") && text_of(zone, "version") != "1") {
        return Error(Errc::unsupported, "the configuration's format is not version 1");
    }
    config.pool = text_of(zone, "pool");
    config.limitpriv = text_of(zone, "limitpriv");
    config.bootargs = text_of(zone, "bootargs");
    config.scheduling_class = text_of(zone, "scheduling-class");
    if (const std::string brand = text_of(zone, "brand"); !brand.empty()) config.brand = brand;
    return {};
}

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

Result<ZoneConfig> read_zone_element(const Node& zone, const std::vector<std::string_view>& foreign_children) {
    if (std::string_view(zone.name()) != "zone") {
        return Error(Errc::invalid, "the root element is <" + printable(std::string_view(zone.name()).substr(0, 80)) +
                                        "> instead of <zone>");
    }
    ZoneConfig config;
    ZF_TRY_STATUS(read_zone_attributes(zone, config));
    for (const Node& child : zone.children()) {
        if (child.type() == pugi::node_comment) continue;
        if (child.type() != pugi::node_element) return Error(Errc::invalid, "<zone> holds text");
        const std::string_view name = child.name();
        if (std::find(foreign_children.begin(), foreign_children.end(), name) != foreign_children.end()) continue;
        ZF_TRY_STATUS(read_child(child, config));
    }
    return config;
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

Result<ZoneConfig> parse_zone_document(std::string_view xml) {
    pugi::xml_document document;
    ZF_TRY_STATUS(load_xml(xml, document));
    return read_zone_element(document.document_element());
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
