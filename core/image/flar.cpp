#include "core/image/flar.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::string_view kCookie = "FlAsH-aRcHiVe-";
constexpr std::size_t kShownBytesMax = 80;

std::string shown(std::string_view text) { return printable(text.substr(0, kShownBytesMax)); }

class HeaderReader {
public:
    explicit HeaderReader(PeekSource& source) : source_(source) {}

    Result<FlarHeader> read() {
        ZF_TRY(const std::string cookie, line());
        if (!cookie.starts_with(kCookie)) return damaged("its first line is not a flash archive's");
        header_.version = cookie.substr(kCookie.size());
        if (!header_.version.starts_with("1.") && !header_.version.starts_with("2.")) {
            return Error(Errc::unsupported,
                         "the flash archive is of version " + shown(header_.version) + "; only 1.x and 2.x are known");
        }
        bool identified = false;
        while (true) {
            ZF_TRY(const std::string begin, line());
            if (begin.empty()) continue;
            if (!begin.starts_with("section_begin="))
                return damaged("a section was expected, not '" + shown(begin) + "'");
            const std::string name = begin.substr(std::string_view("section_begin=").size());
            if (name == "archive") break;
            if (name == "identification" && std::exchange(identified, true)) return damaged("it is identified twice");
            ZF_TRY_STATUS(section(name));
        }
        if (!identified) return damaged("it has no identification section");
        ZF_TRY_STATUS(check());
        return std::move(header_);
    }

private:
    static Error damaged(const std::string& why) {
        return Error(Errc::corrupt, "the flash archive's header cannot be read: " + why)
            .remedy("check that the archive is complete; nothing of it was kept");
    }

    Result<std::string> line() {
        std::string text;
        std::array<std::byte, 1> next{};
        while (true) {
            if (++taken_bytes_ > kFlarHeaderBytesMax) return damaged("it is longer than 1 MiB");
            ZF_TRY_STATUS(read_whole(source_, next));
            const char c = static_cast<char>(next[0]);
            if (c == '\n') return text;
            if (c == '\0') return damaged("it holds a NUL");
            if (text.size() >= kFlarLineBytesMax) return damaged("a line of it is longer than 8 KiB");
            text += c;
        }
    }

    Status section(const std::string& name) {
        while (true) {
            ZF_TRY(const std::string text, line());
            if (text == "section_end=" + name) return {};
            if (name == "identification") ZF_TRY_STATUS(keyword(text));
        }
    }

    Status keyword(const std::string& text) {
        if (text.empty() || text.starts_with('#')) return {};
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos) return damaged("'" + shown(text) + "' is no keyword=value");
        const std::string name = text.substr(0, equals);
        const std::string value = text.substr(equals + 1);
        if (name == "content_name") header_.content_name = value;
        if (name == "creation_date") header_.created = value;
        if (name == "creation_processor") header_.processor = value;
        if (name == "creation_release") header_.release = value;
        if (name == "files_archived_method") header_.archived_method = value;
        if (name == "files_compressed_method") compressed_method_ = value;
        if (name == "files_unarchived_size") header_.unarchived_bytes = parse_number<std::uint64_t>(value).value_or(0);
        if (name == "rootpool") is_zfs_ = true;
        if (name == "archive_id") header_.archive_id = lower(value);
        return {};
    }

    static std::string lower(std::string text) {
        std::transform(text.begin(), text.end(), text.begin(),
                       [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
        return text;
    }

    Status check() {
        if (is_zfs_) {
            return Error(Errc::unsupported, "the flash archive holds a ZFS stream (rootpool), not files")
                .remedy("make one with cpio or pax: flarcreate -L cpio");
        }
        if (header_.archived_method != "cpio" && header_.archived_method != "pax") {
            return Error(Errc::unsupported, "the flash archive's files_archived_method is '" +
                                                shown(header_.archived_method) + "'; cpio and pax are known");
        }
        if (compressed_method_ != "none" && compressed_method_ != "compress") {
            return Error(Errc::unsupported, "the flash archive's files_compressed_method is '" +
                                                shown(compressed_method_) + "'; none and compress are known");
        }
        const std::string& id = header_.archive_id;
        const bool is_md5 = id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
        if (!id.empty() && !is_md5) return damaged("its archive_id is not 32 hexadecimal digits");
        return {};
    }

    PeekSource& source_;
    FlarHeader header_;
    std::string compressed_method_ = "none";
    bool is_zfs_ = false;
    std::size_t taken_bytes_ = 0;
};

}  // namespace

bool is_flar(ConstBytes begin) { return as_text(begin).starts_with(kCookie); }

Result<FlarHeader> read_flar_header(PeekSource& source) { return HeaderReader(source).read(); }

}  // namespace zoneferry
