#include "core/zone/xml.h"

#include <strings.h>

#include <algorithm>
#include <set>

#include "core/base/text.h"

namespace zoneferry {

std::string shown_element(const pugi::xml_node& node) {
    return "<" + printable(std::string_view(node.name()).substr(0, 80)) + ">";
}

XmlDocument::XmlDocument(std::string_view text, std::string_view file) : file_(printable(file)), lines_{0} {
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '\n') lines_.push_back(at + 1);
    }
}

Error XmlDocument::error_at(std::size_t offset, const std::string& sentence) const {
    const auto next = std::upper_bound(lines_.begin(), lines_.end(), offset);
    const auto line = static_cast<std::size_t>(next - lines_.begin());
    return Error(Errc::invalid, file_ + ":" + std::to_string(line) + ":" +
                                    std::to_string(offset - lines_[line - 1] + 1) + ": " + sentence);
}

Error XmlDocument::error(const pugi::xml_node& node, const std::string& sentence) const {
    const auto offset = static_cast<std::size_t>(std::max<std::ptrdiff_t>(node.offset_debug(), 0));
    if (offset == 0) return error_at(0, sentence);
    if (node.type() == pugi::node_element) return error_at(offset - 1, sentence);  // its name stands behind the '<'
    const std::size_t blanks = std::string_view(node.value()).find_first_not_of(" \t\r\n");
    return error_at(blanks == std::string_view::npos ? offset : offset + blanks, sentence);
}

Result<XmlDocument> XmlDocument::load(std::string_view text, std::string_view file) {
    if (text.size() > kXmlBytesMax) {
        return Error(Errc::invalid, printable(file) + ":1:1: the document is larger than 4 MiB");
    }
    XmlDocument document(text, file);
    if (const auto fault = scan_xml(text)) return document.error_at(fault->offset, fault->sentence);
    ZF_TRY_STATUS(document.parse(text));
    return document;
}

Status XmlDocument::parse(std::string_view text) {
    constexpr unsigned kOptions = pugi::parse_default | pugi::parse_doctype | pugi::parse_declaration;
    const pugi::xml_parse_result parsed =
        document_->load_buffer(text.data(), text.size(), kOptions, pugi::encoding_utf8);
    if (!parsed) {
        return error_at(std::min(static_cast<std::size_t>(parsed.offset), text.size()),
                        std::string("not well-formed XML: ") + parsed.description());
    }
    for (const pugi::xml_node& child : document_->children()) {
        if (child.type() == pugi::node_declaration) {
            const char* encoding = child.attribute("encoding").as_string("UTF-8");
            if (::strcasecmp(encoding, "UTF-8") != 0) {
                return error(child, "the document's encoding is declared as " + printable(encoding) + ", not UTF-8");
            }
        }
    }
    return check_element(root());
}

// The depth is bounded by scan_xml.
Status XmlDocument::check_element(const pugi::xml_node& node) const {
    std::set<std::string_view> seen;
    for (const pugi::xml_attribute& attribute : node.attributes()) {
        if (!seen.insert(attribute.name()).second) {
            return error(node, "attribute '" + printable(std::string_view(attribute.name()).substr(0, 80)) + "' of " +
                                   shown_element(node) + " is given twice");
        }
    }
    for (const pugi::xml_node& child : node.children()) ZF_TRY_STATUS(check_element(child));
    return {};
}

Status XmlDocument::check_attributes(const pugi::xml_node& node, std::initializer_list<std::string_view> names) const {
    const auto plain = [](std::string_view name) {
        return name.ends_with('!') ? name.substr(0, name.size() - 1) : name;
    };
    for (const pugi::xml_attribute& attribute : node.attributes()) {
        const bool known = std::any_of(names.begin(), names.end(),
                                       [&](std::string_view name) { return plain(name) == attribute.name(); });
        if (!known) {
            return error(node, "unknown attribute '" + printable(std::string_view(attribute.name()).substr(0, 80)) +
                                   "' of " + shown_element(node));
        }
    }
    for (const std::string_view name : names) {
        if (!name.ends_with('!')) continue;
        const std::string wanted(plain(name));
        if (!node.attribute(wanted.c_str()))
            return error(node, "attribute '" + wanted + "' of " + shown_element(node) + " is missing");
    }
    return {};
}

Status XmlDocument::check_empty(const pugi::xml_node& node) const {
    for (const pugi::xml_node& child : node.children()) {
        if (child.type() != pugi::node_comment) return error(node, shown_element(node) + " must be empty");
    }
    return {};
}

}  // namespace zoneferry
