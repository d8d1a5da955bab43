#include "core/packages/database_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/base/text.h"

namespace zoneferry {
namespace {

Result<std::string> read_regular(Result<UniqueFd> opened, const std::string& shown, std::uint64_t bytes_max) {
    if (!opened) {
        const int reason = opened.error().system_error();
        return reason != 0 ? system_error("read " + printable(shown), reason) : std::move(opened).error();
    }
    ZF_TRY(const struct stat info, stat_fd(opened->get()));
    if (!S_ISREG(info.st_mode)) return Error(Errc::corrupt, printable(shown) + " is not a regular file");
    auto text = read_to_end(opened->get(), bytes_max);
    if (!text) return std::move(text).error().during("read " + printable(shown));
    return text;
}

}  // namespace

Result<std::string> read_in_root(int root, const std::string& path, std::uint64_t bytes_max) {
    return read_regular(open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY), path, bytes_max);
}

Result<std::string> read_in_directory(int directory, const std::string& name, const std::string& shown,
                                      std::uint64_t bytes_max) {
    return read_regular(open_beneath(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY), shown, bytes_max);
}

Status check_not_cut(std::string_view text, std::string_view file) {
    if (text.empty() || text.back() == '\n') return {};
    const auto line = 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    return damaged(file, line, "ends in the middle: the file was cut off");
}

Error damaged(std::string_view file, std::size_t line, std::string_view what) {
    return Error(Errc::corrupt, printable(file) + " line " + std::to_string(line) + ": " + std::string(what));
}

}  // namespace zoneferry
