// XML from outside, read strictly and within bounds. Used for zone configurations and for the detached manifest.
//
// Refused, each with one sentence: more than 4 MiB (a manifest of 10,000 packages is about 1.5 MiB), depth over 32
// (ours is 4), bytes that are not UTF-8, a DOCTYPE with declarations of its own, entities other than XML's five,
// control characters, an attribute given twice, and more or less than one root element. Nothing is ever fetched.
#pragma once

#include <initializer_list>
#include <pugixml.hpp>
#include <string_view>

#include "core/base/result.h"

namespace zoneferry {

constexpr std::size_t kXmlBytesMax = 4U << 20U;
constexpr int kXmlDepthMax = 32;

// Parses text into document. On error the document is to be thrown away.
Status load_xml(std::string_view text, pugi::xml_document& document);

// Refuses an attribute of node that is not in names, and a required one (marked "name!") that is missing.
Status check_attributes(const pugi::xml_node& node, std::initializer_list<std::string_view> names);
// Refuses any child (element or text) but comments.
Status check_empty(const pugi::xml_node& node);

}  // namespace zoneferry
