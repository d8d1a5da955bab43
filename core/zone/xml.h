// XML from outside, read strictly and within bounds. Used for zone configurations and for the detached manifest.
//
// Refused, each with one sentence that begins "FILE:LINE:COLUMN: " (columns count bytes, from 1): more than 4 MiB (a
// manifest of 10,000 packages is about 1.5 MiB), whatever xml_scan.h lists, text that is not well-formed, a declared
// encoding other than UTF-8, an attribute given twice. Nothing is ever fetched.
#pragma once

#include <initializer_list>
#include <memory>
#include <pugixml.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/zone/xml_scan.h"

namespace zoneferry {

constexpr std::size_t kXmlBytesMax = 4U << 20U;

// A parsed document that remembers where its elements stood.
class XmlDocument {
public:
    // file is what the sentences call the text.
    static Result<XmlDocument> load(std::string_view text, std::string_view file);

    pugi::xml_node root() const { return document_->document_element(); }
    // Errc::invalid: "FILE:LINE:COLUMN: sentence", the place of node.
    Error error(const pugi::xml_node& node, const std::string& sentence) const;

    // Refuses an attribute of node that is not in names, and a required one (marked "name!") that is missing.
    Status check_attributes(const pugi::xml_node& node, std::initializer_list<std::string_view> names) const;
    // Refuses any child (element or text) but comments.
    Status check_empty(const pugi::xml_node& node) const;

private:
    XmlDocument(std::string_view text, std::string_view file);
    Error error_at(std::size_t offset, const std::string& sentence) const;
    Status parse(std::string_view text);
    Status check_element(const pugi::xml_node& node) const;

    std::string file_;
    std::vector<std::size_t> lines_;  // where each begins
    std::unique_ptr<pugi::xml_document> document_ = std::make_unique<pugi::xml_document>();
};

// "<name>" for a sentence: printable, at most 80 bytes of it.
std::string shown_element(const pugi::xml_node& node);

}  // namespace zoneferry
