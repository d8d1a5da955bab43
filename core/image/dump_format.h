// The records of a dump: what dump(8) of Linux and ufsdump of Solaris write (magic 60012), 1,024 bytes each.
//
//     TAPE   one header; level 0, volume 1
//     CLRI, BITS   inode maps: a header and `count` records; skipped
//     INODE  every directory, in the order of inodes, then every other file:
//            header with the inode, then a record for every 1 in `present`; a 0 is a hole of 1,024 bytes
//     ADDR   goes on with the inode before it, in the same shape
//     END
//
// Header, little or big endian as the host was (seen by the magic); the sum of its 256 words is 84446:
//      0 type   12 volume   20 inode number   24 magic   32 inode (128 bytes)   160 count   164 present[512]
//    692 level  888 flags (0x80 compressed, 0x8000 the data are extended attributes)   896 records per block (Linux
//    only)
// Inode: 0 mode 2 links 4 old uid, gid 8 size 16 24 32 times (s, us) 40 device; then uid and gid, at 112 (Linux) or, if
// the old ones are 65535, at 116 (Solaris, which has no figure at 896 of the header). Directory: inode, bytes of the
// entry (16 bits), 16 bits that differ by system, name up to a NUL.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "core/image/image_writer.h"

namespace zoneferry {

inline constexpr std::size_t kDumpRecordBytes = 1024;
inline constexpr std::size_t kDumpPresentMax = 512;
inline constexpr std::uint32_t kDumpRootInode = 2;

enum class DumpRecord : std::uint32_t { tape = 1, inode = 2, bits = 3, address = 4, end = 5, clear = 6 };

struct DumpHeader {
    DumpRecord type = DumpRecord::end;
    std::uint32_t volume = 0;
    std::uint32_t inode = 0;
    std::uint32_t level = 0;
    std::uint32_t count = 0;
    bool is_attributes = false;
    mode_t mode = 0;  // type and permissions
    std::uint64_t size = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    timespec modified = {};
    std::array<bool, kDumpPresentMax> present{};  // of the first `count`; INODE and ADDR only
};

// True if these first 1,024 bytes begin a dump that we or others know.
bool is_dump(ConstBytes begin);

class DumpParser {
public:
    // From the first record: byte order and system. Errc::unsupported: another dump's magic, not level 0, not volume 1.
    static Result<DumpParser> create(ConstBytes record);
    // Errc::corrupt: no header, or a wrong sum; Errc::unsupported: a type that is not known.
    Result<DumpHeader> header(ConstBytes record) const;

    struct Entry {
        std::uint32_t inode = 0;
        std::string_view name;  // into the given bytes
    };
    // The entries of a directory's data, without "." and "..", each name checked to be one component.
    Result<std::vector<Entry>> entries(ConstBytes data) const;

private:
    explicit DumpParser(bool is_big_endian) : is_big_endian_(is_big_endian) {}
    std::uint16_t half(ConstBytes from, std::size_t at) const;
    std::uint32_t word(ConstBytes from, std::size_t at) const;
    std::uint64_t quad(ConstBytes from, std::size_t at) const;

    bool is_big_endian_;
    bool is_solaris_ = false;
};

// The extended attributes in the record that Linux' dump writes behind an inode: ext2's block (magic 0xea020000) or
// in-inode (0xea020001) form; ACLs are given as the kernel takes them. Errc::corrupt.
Result<std::vector<ImageXattr>> parse_dump_xattrs(ConstBytes data);

}  // namespace zoneferry
