#include "core/zone/xml.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "core/base/text.h"

namespace zoneferry {
namespace {

Error invalid(const std::string& sentence) { return Error(Errc::invalid, sentence); }

std::string element(const pugi::xml_node& node) {
    return "<" + printable(std::string_view(node.name()).substr(0, 80)) + ">";
}

// reference is what stands between '&' and ';'.
bool is_known_reference(std::string_view reference) {
    if (reference == "lt" || reference == "gt" || reference == "amp" || reference == "apos" || reference == "quot")
        return true;
    if (!reference.starts_with('#')) return false;
    reference.remove_prefix(1);
    const bool hex = reference.starts_with('x');
    if (hex) reference.remove_prefix(1);
    const auto value = parse_number<std::uint32_t>(reference, hex ? 16 : 10);
    if (!value || *value > 0x10ffff || (*value >= 0xd800 && *value <= 0xdfff)) return false;
    return *value >= 0x20 || *value == '\t' || *value == '\n' || *value == '\r';
}

// pugixml would pass unknown entities through as text and cut a value at "&#0;".
Status check_references(std::string_view text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text.substr(at).starts_with("<!--")) {
            at = text.find("-->", at);
            if (at == std::string_view::npos) return invalid("an XML comment has no end");
            continue;
        }
        if (text[at] != '&') continue;
        const std::string_view rest = text.substr(at + 1, 12);
        const std::size_t end = rest.find(';');
        if (end == std::string_view::npos || !is_known_reference(rest.substr(0, end))) {
            return invalid("the entity '&" + printable(rest.substr(0, end)) + "' is not allowed");
        }
    }
    return {};
}

Status check_bytes(std::string_view text) {
    if (text.size() > kXmlBytesMax) return invalid("the document is larger than 4 MiB");
    if (!is_utf8(text)) return invalid("the document is not UTF-8");
    const bool control = std::any_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
    });
    if (control) return invalid("the document holds control characters");
    return check_references(text);
}

Status check_element(const pugi::xml_node& node, int depth) {
    if (depth > kXmlDepthMax) return invalid("elements are nested deeper than 32");
    std::set<std::string_view> seen;
    for (const pugi::xml_attribute& attribute : node.attributes()) {
        if (!seen.insert(attribute.name()).second) {
            return invalid("attribute '" + printable(attribute.name()) + "' of " + element(node) + " is given twice");
        }
    }
    for (const pugi::xml_node& child : node.children()) ZF_TRY_STATUS(check_element(child, depth + 1));
    return {};
}

}  // namespace

Status load_xml(std::string_view text, pugi::xml_document& document) {
    ZF_TRY_STATUS(check_bytes(text));
    constexpr unsigned kOptions = pugi::parse_default | pugi::parse_doctype | pugi::parse_declaration;
    const pugi::xml_parse_result parsed = document.load_buffer(text.data(), text.size(), kOptions, pugi::encoding_utf8);
    if (!parsed) {
        const auto line = 1 + std::count(text.begin(), text.begin() + parsed.offset, '\n');
        return invalid("not well-formed XML at line " + std::to_string(line) + ": " + parsed.description());
    }
    int roots = 0;
    for (const pugi::xml_node& child : document.children()) {
        if (child.type() == pugi::node_doctype && std::string_view(child.value()).find('[') != std::string_view::npos) {
            return invalid("a DOCTYPE with declarations of its own is not allowed");
        }
        if (child.type() != pugi::node_element) continue;
        ++roots;
        ZF_TRY_STATUS(check_element(child, 1));
    }
    if (roots != 1) return invalid("the document has " + std::to_string(roots) + " root elements instead of one");
    return {};
}

Status check_attributes(const pugi::xml_node& node, std::initializer_list<std::string_view> names) {
    const auto plain = [](std::string_view name) {
        return name.ends_with('!') ? name.substr(0, name.size() - 1) : name;
    };
    for (const pugi::xml_attribute& attribute : node.attributes()) {
        const bool known = std::any_of(names.begin(), names.end(),
                                       [&](std::string_view name) { return plain(name) == attribute.name(); });
        if (!known) return invalid("unknown attribute '" + printable(attribute.name()) + "' of " + element(node));
    }
    for (const std::string_view name : names) {
        if (!name.ends_with('!')) continue;
        const std::string wanted(plain(name));
        if (!node.attribute(wanted.c_str()))
            return invalid("attribute '" + wanted + "' of " + element(node) + " is missing");
    }
    return {};
}

Status check_empty(const pugi::xml_node& node) {
    for (const pugi::xml_node& child : node.children()) {
        if (child.type() != pugi::node_comment) return invalid(element(node) + " must be empty");
    }
    return {};
}

}  // namespace zoneferry
