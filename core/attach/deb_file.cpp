#include "core/attach/deb_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kNameField = 100;
constexpr std::uint64_t kIdMax = (1ULL << 21) - 1;     // seven octal digits
constexpr std::uint64_t kOctalMax = (1ULL << 33) - 1;  // eleven octal digits

void put(std::string& header, std::size_t at, std::string_view text) { header.replace(at, text.size(), text); }

std::string octal(std::uint64_t value, std::size_t digits) {
    std::string text(digits, '0');
    for (std::size_t i = digits; i-- > 0; value >>= 3) text[i] = static_cast<char>('0' + (value & 7));
    return text;
}

std::string tar_header(const TarEntry& entry, char kind, std::uint64_t size) {
    std::string header(kBlock, '\0');
    put(header, 0, entry.name.substr(0, kNameField));
    put(header, 100, octal(entry.permissions & 07777, 7));
    put(header, 108, octal(entry.uid, 7));
    put(header, 116, octal(entry.gid, 7));
    put(header, 124, octal(size, 11));
    put(header, 136, octal(static_cast<std::uint64_t>(std::max<std::int64_t>(0, entry.modified_s)), 11));
    header[156] = kind;
    put(header, 157, entry.target.substr(0, kNameField));
    put(header, 257, std::string_view("ustar  \0", 8));
    put(header, 265, std::string_view(entry.user).substr(0, 31));
    put(header, 297, std::string_view(entry.group).substr(0, 31));
    put(header, 148, "        ");
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put(header, 148, octal(sum, 6) + std::string("\0 ", 2));
    return header;
}

Status check_ids(const TarEntry& entry) {
    if (entry.uid <= kIdMax && entry.gid <= kIdMax) return {};
    return Error(Errc::unsupported, "\"" + printable(entry.name) + "\" belongs to a user or group above " +
                                        std::to_string(kIdMax) + ", which a package cannot hold");
}

std::string padding(std::uint64_t size) { return std::string((kBlock - size % kBlock) % kBlock, '\0'); }

// A name that does not fit comes as the content of an entry of its own.
std::string long_name(char kind, const std::string& name) {
    if (name.size() <= kNameField) return {};
    TarEntry carrier;
    carrier.name = "././@LongLink";
    carrier.permissions = 0;
    const std::string content = name + '\0';
    return tar_header(carrier, kind, content.size()) + content + padding(content.size());
}

std::string headers(const TarEntry& entry, std::uint64_t size) {
    return long_name('K', entry.target) + long_name('L', entry.name) +
           tar_header(entry, static_cast<char>(entry.kind), size);
}

std::string ar_header(const std::string& name, std::uint64_t size) {
    std::array<char, 61> header{};
    (void)std::snprintf(header.data(), header.size(), "%-16s%-12d%-6d%-6d%-8s%-10llu`\n", name.c_str(), 0, 0, 0,
                        "100644", static_cast<unsigned long long>(size));
    return {header.data(), 60};
}

std::string control_archive(const std::vector<ControlFile>& control) {
    std::string archive;
    for (const ControlFile& file : control) {
        TarEntry entry;
        entry.name = "./" + file.name;
        entry.permissions = file.permissions;
        archive += headers(entry, file.content.size()) + file.content + padding(file.content.size());
    }
    return archive + std::string(2 * kBlock, '\0');
}

}  // namespace

Result<DebWriter> DebWriter::begin(int file, const std::vector<ControlFile>& control) {
    DebWriter writer(file);
    const std::string archive = control_archive(control);
    ZF_TRY_STATUS(writer.write("!<arch>\n" + ar_header("debian-binary", 4) + "2.0\n"));
    ZF_TRY_STATUS(writer.write(ar_header("control.tar", archive.size()) + archive));  // a multiple of 512: even
    writer.size_header_at_ = writer.at_;
    ZF_TRY_STATUS(writer.write(ar_header("data.tar", 0)));
    writer.data_begin_ = writer.at_;
    return writer;
}

Status DebWriter::write(std::string_view bytes) {
    ZF_TRY_STATUS(write_all(file_, as_bytes(bytes)));
    at_ += bytes.size();
    return {};
}

Status DebWriter::add(TarEntry entry, std::string_view content) {
    entry.size = content.size();
    ZF_TRY_STATUS(check_ids(entry));
    ZF_TRY_STATUS(write(headers(entry, entry.size)));
    ZF_TRY_STATUS(write(content));
    return write(padding(entry.size));
}

Status DebWriter::add_file(const TarEntry& entry, int from) {
    ZF_TRY_STATUS(check_ids(entry));
    if (entry.size > kOctalMax) {
        return Error(Errc::unsupported, "\"" + printable(entry.name) + "\" is too big for a package");
    }
    ZF_TRY_STATUS(write(headers(entry, entry.size)));
    std::array<char, 1 << 16> buffer;
    for (std::uint64_t left = entry.size; left > 0;) {
        const ssize_t got = ::read(from, buffer.data(), std::min<std::uint64_t>(left, buffer.size()));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error("read " + printable(entry.name), errno);
        if (got == 0) return Error(Errc::io, "\"" + printable(entry.name) + "\" became shorter while it was read");
        ZF_TRY_STATUS(write(std::string_view(buffer.data(), static_cast<std::size_t>(got))));
        left -= static_cast<std::uint64_t>(got);
    }
    return write(padding(entry.size));
}

Status DebWriter::finish() {
    ZF_TRY_STATUS(write(std::string(2 * kBlock, '\0')));
    const std::string header = ar_header("data.tar", at_ - data_begin_);
    const ssize_t written = ::pwrite(file_, header.data(), header.size(), static_cast<off_t>(size_header_at_));
    if (written != static_cast<ssize_t>(header.size())) return system_error("finish a package", errno);
    return {};
}

}  // namespace zoneferry
