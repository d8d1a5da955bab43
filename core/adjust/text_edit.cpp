#include "core/adjust/text_edit.h"

#include "core/base/text.h"

namespace zoneferry {

std::vector<std::string_view> lines_with_ends(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::size_t size = end == std::string_view::npos ? text.size() : end + 1;
        lines.push_back(text.substr(0, size));
        text.remove_prefix(size);
    }
    return lines;
}

std::string_view bare(std::string_view line) {
    const std::size_t first = line.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return line.substr(first, line.find_last_not_of(" \t\r\n") - first + 1);
}

std::string commented(std::string_view line) { return "# " + std::string(line); }

void add_line(std::string& text, std::string_view line) {
    if (!text.empty() && text.back() != '\n') text += '\n';
    if (text.ends_with("\\\n")) text += '\n';  // or the line would be the rest of one that goes on
    text += line;
    text += '\n';
}

void add_trailer(std::string& text, std::string_view date) { add_line(text, "# Modified by p2v " + std::string(date)); }

EditedText comment_out(std::string_view text, std::string_view date,
                       const std::function<bool(std::string_view)>& is_off) {
    EditedText edited;
    for (const std::string_view line : lines_with_ends(text)) {
        const std::string_view content = bare(line);
        const bool is_kept = content.empty() || content.front() == '#' || !is_off(content);
        edited.text += is_kept ? std::string(line) : commented(line);
        if (!is_kept) ++edited.lines;
    }
    if (edited.lines > 0) add_trailer(edited.text, date);
    return edited;
}

std::string count_of(std::size_t number, std::string_view noun) {
    return std::to_string(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

}  // namespace zoneferry
