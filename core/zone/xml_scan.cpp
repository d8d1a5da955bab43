#include "core/zone/xml_scan.h"

#include <algorithm>
#include <cstdint>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kBlanks = " \t\r\n";

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

class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    std::optional<XmlFault> run() {
        if (const std::size_t sound = utf8_prefix(text_); sound < text_.size()) {
            return XmlFault{sound, "the document is not UTF-8"};
        }
        const auto control = std::find_if(text_.begin(), text_.end(), [](char c) {
            return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
        });
        if (control != text_.end()) {
            return XmlFault{static_cast<std::size_t>(control - text_.begin()), "the document holds control characters"};
        }
        if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
        start_ = at_;
        while (!fault_ && at_ < text_.size()) step();
        return std::move(fault_);
    }

private:
    void fail(std::size_t offset, std::string sentence) { fault_ = XmlFault{offset, std::move(sentence)}; }
    bool here(std::string_view word) const { return text_.substr(at_).starts_with(word); }

    // Moves behind the next end; without one the document is refused.
    bool skip_past(std::size_t from, std::string_view end, const char* what) {
        const std::size_t found = text_.find(end, from);
        if (found == std::string_view::npos) {
            fail(at_, std::string(what) + " has no end");
            return false;
        }
        at_ = found + end.size();
        return true;
    }

    void step() {
        if (text_[at_] != '<') return take_character();
        if (here("<!--")) return take_comment();
        if (here("<!DOCTYPE")) return take_doctype();
        if (here("<?")) return take_declaration();
        if (here("<!")) return fail(at_, "only elements, comments and one DOCTYPE are allowed");
        if (here("</")) {
            --depth_;
            (void)skip_past(at_, ">", "a tag");
            return;
        }
        take_tag();
    }

    void take_character() {
        if (depth_ == 0 && kBlanks.find(text_[at_]) == std::string_view::npos) {
            return fail(at_, "not well-formed XML: text outside the root element");
        }
        if (text_[at_] == '&') check_reference();
        ++at_;
    }

    // pugixml would pass unknown entities through as text and cut a value at "&#0;".
    void check_reference() {
        const std::string_view rest = text_.substr(at_ + 1, 12);
        const std::size_t end = rest.find(';');
        if (end != std::string_view::npos && is_known_reference(rest.substr(0, end))) return;
        const std::string_view shown = rest.substr(0, std::min(end, rest.find_first_of("\"'<> ")));
        fail(at_, "the entity '&" + printable(shown) + "' is not allowed");
    }

    void take_comment() {
        const std::size_t begin = at_;
        if (!skip_past(begin + 4, "-->", "an XML comment")) return;
        const std::size_t dashes = text_.substr(begin + 4, at_ - 3 - (begin + 4)).find("--");
        if (dashes != std::string_view::npos) fail(begin + 4 + dashes, "a comment holds \"--\"");
    }

    void take_doctype() {
        const std::size_t begin = at_;
        if (has_doctype_ || has_root_) return fail(begin, "a second or late DOCTYPE is not allowed");
        has_doctype_ = true;
        char quote = 0;
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (quote != 0) {
                if (c == quote) quote = 0;
            } else if (c == '"' || c == '\'') {
                quote = c;
            } else if (c == '[') {
                return fail(at_, "a DOCTYPE with declarations of its own is not allowed");
            } else if (c == '>') {
                ++at_;
                return;
            }
        }
        fail(begin, "the DOCTYPE has no end");
    }

    void take_declaration() {
        const std::string_view behind = text_.substr(at_).substr(0, 6);
        const bool is_xml = at_ == start_ && here("<?xml") && behind.find_first_of(kBlanks) == 5;
        if (!is_xml) return fail(at_, "processing instructions are not allowed");
        (void)skip_past(at_, "?>", "the XML declaration");
    }

    void take_tag() {
        const std::size_t begin = at_;
        if (depth_ == 0 && has_root_) return fail(begin, "a second root element");
        has_root_ = true;
        char quote = 0;
        for (++at_; at_ < text_.size() && !fault_; ++at_) {
            const char c = text_[at_];
            if (c == '<') return fail(at_, "not well-formed XML: '<' inside a tag");
            if (c == '&') check_reference();
            if (quote != 0) {
                if (c == quote) quote = 0;
            } else if (c == '"' || c == '\'') {
                quote = c;
            } else if (c == '>') {
                if (text_[at_ - 1] != '/') ++depth_;
                ++at_;
                if (depth_ > kXmlDepthMax) fail(begin, "elements are nested deeper than 32");
                return;
            }
        }
        if (!fault_) fail(begin, "not well-formed XML: the document ends inside a tag");
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t start_ = 0;  // behind the byte order mark
    int depth_ = 0;
    bool has_doctype_ = false;
    bool has_root_ = false;
    std::optional<XmlFault> fault_;
};

}  // namespace

std::optional<XmlFault> scan_xml(std::string_view text) { return Scanner(text).run(); }

}  // namespace zoneferry
