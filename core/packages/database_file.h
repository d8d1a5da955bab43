// Reading the files of a package database: below a held root, bounded, and only regular files (a fifo planted
// in a database must not make us wait).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"

namespace zoneferry {

// path as seen from inside the root. The errors name it.
Result<std::string> read_in_root(int root, const std::string& path, std::uint64_t bytes_max);
// name is one component below an open directory; shown is what the error calls the file.
Result<std::string> read_in_directory(int directory, const std::string& name, const std::string& shown,
                                      std::uint64_t bytes_max);
// Errc::corrupt for a text that does not end with a newline, with the number of its last line.
Status check_not_cut(std::string_view text, std::string_view file);
// Errc::corrupt: "FILE line N: what".
Error damaged(std::string_view file, std::size_t line, std::string_view what);

// Takes the next line off text, without its newline; false when text is empty.
inline bool next_line(std::string_view& text, std::string_view& line) {
    if (text.empty()) return false;
    const std::size_t end = text.find('\n');
    line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return true;
}

}  // namespace zoneferry
