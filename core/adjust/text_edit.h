// Editing a text by lines: what is not touched stays byte for byte. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace zoneferry {

// The lines with their ends ("\n"; the last one may have none); joined again they are the text.
std::vector<std::string_view> lines_with_ends(std::string_view text);
// A line without its end and without blanks around it.
std::string_view bare(std::string_view line);
// "# " in front.
std::string commented(std::string_view line);
// A line put behind text, which may end without a newline.
void add_line(std::string& text, std::string_view line);

struct EditedText {
    std::string text;
    std::size_t lines = 0;  // how many were commented out; 0: the text is as it was
};

// Comments out every line that is_off(bare line) is true for; empty lines and comments (after blanks: '#') are never
// asked. With a last line "# Modified by p2v DATE" if there was one.
EditedText comment_out(std::string_view text, std::string_view date,
                       const std::function<bool(std::string_view)>& is_off);

// The last line of an edited file: "# Modified by p2v DATE".
void add_trailer(std::string& text, std::string_view date);

// "1 line", "2 lines".
std::string count_of(std::size_t number, std::string_view noun);

}  // namespace zoneferry
