#include "core/packages/svr4/contents_table.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/limits.h"
#include "core/packages/svr4/contents.h"
#include "core/packages/svr4/pkgmap.h"

namespace zoneferry {
namespace {

ContentsRecord::Owner parse_owner(std::string_view word) {
    ContentsRecord::Owner owner;
    if (std::string_view("+-!%@#*~").find(word.front()) != std::string_view::npos) {
        owner.mark = word.front();
        word.remove_prefix(1);
    }
    const std::size_t colon = word.find(':');
    if (colon != std::string_view::npos) owner.klass = word.substr(colon + 1);
    word = word.substr(0, colon);
    owner.edited = word.ends_with('\\');
    if (owner.edited) word.remove_suffix(1);
    owner.package = word;
    return owner;
}

// f, e and v may become each other, d and x too.
char kind_of(char type) {
    if (type == 'e' || type == 'v') return 'f';
    return type == 'x' ? 'd' : type;
}

void append(std::string& out, const std::string& path, const ContentsRecord& record) {
    out.append(path);
    if (!record.target.empty()) out.append("=").append(record.target);
    out.append(" ").append(1, record.type).append(" ").append(record.klass);
    if (!record.attributes.empty()) out.append(" ").append(record.attributes);
    for (const ContentsRecord::Owner& owner : record.owners) {
        out.append(" ");
        if (owner.mark != 0) out.append(1, owner.mark);
        out.append(owner.package);
        if (owner.edited) out.append("\\");
        if (!owner.klass.empty()) out.append(":").append(owner.klass);
    }
    out.append("\n");
}

}  // namespace

bool ContentsRecord::is_owned_by(std::string_view package) const {
    return std::any_of(owners.begin(), owners.end(), [&](const Owner& owner) { return owner.package == package; });
}

const std::string& ContentsRecord::class_for(std::string_view package) const {
    static const std::string none;
    for (const Owner& owner : owners) {
        if (owner.package == package) return owner.klass.empty() ? klass : owner.klass;
    }
    return none;
}

Result<ContentsTable> ContentsTable::parse(std::string_view text, std::string_view file) {
    ContentsTable table;
    ZF_TRY_STATUS(for_each_contents_entry(text, file, [&](const ContentsEntry& entry) -> Status {
        if (entry.path != "/" && !is_installable_path(entry.path))
            return damaged(file, entry.line, "has a path that cannot be installed");
        if (table.records_.size() == kContentsRecordsMax || entry.packages.size() > kContentsOwnersBytesMax)
            return Error(Errc::invalid, std::string(file) + " holds more paths, or more packages on line " +
                                            std::to_string(entry.line) + ", than are read");
        ContentsRecord record{
            entry.type, std::string(entry.klass), std::string(entry.target), std::string(entry.attributes), {}};
        for (const std::string_view word : split_words(entry.packages)) record.owners.push_back(parse_owner(word));
        const auto [at, is_new] = table.records_.try_emplace(std::string(entry.path), std::move(record));
        if (!is_new) return damaged(file, entry.line, "names " + printable(at->first) + " a second time");
        return {};
    }));
    return table;
}

std::string ContentsTable::text(std::string_view last_change, std::string_view date) const {
    std::string out;
    for (const auto& [path, record] : records_) append(out, path, record);
    return out.append("# Last modified by ").append(last_change).append("\n# ").append(date).append("\n");
}

const ContentsRecord* ContentsTable::find(std::string_view path) const {
    const auto at = records_.find(path);
    return at == records_.end() ? nullptr : &at->second;
}

void ContentsTable::drop(std::string_view path, std::string_view package) {
    const auto at = records_.find(path);
    if (at == records_.end()) return;
    std::erase_if(at->second.owners, [&](const ContentsRecord::Owner& owner) { return owner.package == package; });
    if (at->second.owners.empty()) records_.erase(at);
}

void ContentsTable::drop_package(std::string_view package) {
    for (auto at = records_.begin(); at != records_.end();) {
        std::erase_if(at->second.owners, [&](const ContentsRecord::Owner& owner) { return owner.package == package; });
        at = at->second.owners.empty() ? records_.erase(at) : std::next(at);
    }
}

Status ContentsTable::add(const std::string& path, ContentsRecord record) {
    const auto at = records_.find(path);
    if (at == records_.end()) {
        records_.emplace(path, std::move(record));
        return {};
    }
    ContentsRecord& known = at->second;
    if (kind_of(known.type) != kind_of(record.type)) {
        return Error(Errc::conflict, path + " is of type " + record.type + " in package " +
                                         record.owners.front().package + " and of type " + known.type + " in package " +
                                         known.owners.front().package);
    }
    for (ContentsRecord::Owner& owner : record.owners) {
        std::erase_if(known.owners, [&](const auto& other) { return other.package == owner.package; });
        if (record.klass != known.klass) owner.klass = record.klass;
        known.owners.push_back(std::move(owner));
    }
    if (kind_of(record.type) == 'd') return {};
    known.type = record.type;
    known.target = std::move(record.target);
    known.attributes = std::move(record.attributes);
    return {};
}

}  // namespace zoneferry
