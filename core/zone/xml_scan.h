// One pass over XML text before a parser sees it: what no document of ours holds, and what pugixml would let pass.
//
// Refused: bytes that are not UTF-8, control characters, processing instructions, CDATA, a DOCTYPE with declarations
// of its own (or a second one), entities other than XML's five, references to characters that XML does not have,
// "--" inside a comment, '<' inside a tag or a value, text outside the root element, a second root element, depth over
// 32. So one damaged byte cannot turn a run of elements into a comment, a value or text and make them vanish.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace zoneferry {

constexpr int kXmlDepthMax = 32;  // our documents need 4

struct XmlFault {
    std::size_t offset = 0;  // where in the text
    std::string sentence;
};

// The first fault, or nothing. The tags' names and their nesting are left to the parser. Pure, linear.
std::optional<XmlFault> scan_xml(std::string_view text);

}  // namespace zoneferry
