// How much an image may make us do. Each figure is far above the largest real one seen.
#pragma once

#include <cstddef>
#include <cstdint>

namespace zoneferry {

inline constexpr std::size_t kImagePathBytesMax = 4095;              // PATH_MAX, as the zone itself could use it
inline constexpr std::size_t kImagePathDepthMax = 256;               // bounds our recursion; node_modules reaches 60
inline constexpr std::size_t kImageDirectoriesMax = 4'000'000;       // kept in memory until their times are set
inline constexpr std::size_t kImageDirectoryBytesMax = 512U << 20U;  // of their names and attributes, likewise
inline constexpr std::size_t kImageXattrsMax = 64;                   // on one file
inline constexpr std::size_t kImageXattrBytesMax = 65'536;           // one value; XATTR_SIZE_MAX
inline constexpr std::size_t kImageKeptXattrBytesMax = 64U << 20U;   // of a dump's directories, in memory
inline constexpr std::uint64_t kImageTrailingBytesMax = 16U << 20U;  // behind the end of an archive
inline constexpr std::size_t kImageNamedAclsMax = 1'000'000;         // kept until the account files are there
inline constexpr std::uint64_t kImageFilesMax = 100'000'000;
inline constexpr std::uint64_t kImageReserveBytes = 64ULL << 20;    // left free on the zonepath's file system
inline constexpr std::uint64_t kSurveyBlockBytes = 4096;            // what a file's last piece takes on the disk
inline constexpr std::uint64_t kSurveyKeptBytesMax = 512ULL << 20;  // a package database; real ones have 20 MiB
inline constexpr std::size_t kSurveyEmptyFilesMax = 1'000'000;      // remembered, for cpio's hard links
inline constexpr std::uint64_t kHostFileBytesMax = 16ULL << 20;     // passwd, triggers, ... of the global zone

}  // namespace zoneferry
