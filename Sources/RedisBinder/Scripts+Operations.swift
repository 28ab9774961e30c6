/// What operators ask of a destination and its groups, in one step on the server.
extension Scripts {
    /// What groups have not done, one after the other. Answers `[now, …]` with an array for each: of one text where it is not to be had, or
    /// `[lag or nil, pending, waiting for a retry, of these due, dead, members, id of the oldest or nil, ever added or nil, ever read or nil]`.
    ///
    /// Where the server has lost its count of what a group has not read, entries are counted, in steps and up to `limit` of them.
    static func backlogs(_ groups: [(keys: RedisKeys, group: String)], limit: Int) -> RedisCommand {
        call(
            map + clock + """
                local answers = {now}
                local function backlog(stream, retry, dead, members, name)
                  local info = redis.pcall('XINFO', 'STREAM', stream)
                  if info.err then return {info.err} end
                  local group
                  for _, g in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
                    local one = map(g)
                    if one.name == name then group = one end
                  end
                  if not group then return {'NOGROUP'} end
                  local lag, last = group.lag, group['last-delivered-id']
                  if not lag then
                    local count, from = 0, '(' .. last
                    while count <= tonumber(ARGV[1]) do
                      local some = redis.call('XRANGE', stream, from, '+', 'COUNT', 100)
                      count = count + #some
                      if #some < 100 then
                        if count <= tonumber(ARGV[1]) then lag = count end
                        break
                      end
                      from = '(' .. some[100][1]
                    end
                  end
                  local summary = redis.call('XPENDING', stream, name)
                  local oldest = summary[2]
                  if not oldest then
                    local next = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)
                    if next[1] then oldest = next[1][1] end
                  end
                  return {lag or false, summary[1], redis.call('ZCARD', retry), redis.call('ZCOUNT', retry, '-inf', now),
                    redis.call('XLEN', dead), redis.call('ZCOUNT', members, now, '+inf'), oldest or false,
                    map(info)['entries-added'] or false, group['entries-read'] or false}
                end
                for i = 1, #KEYS, 4 do
                  answers[#answers + 1] = backlog(KEYS[i], KEYS[i + 1], KEYS[i + 2], KEYS[i + 3], ARGV[(i - 1) / 4 + 2])
                end
                return answers
                """, groups.flatMap { [$0.keys.stream, $0.keys.retry, $0.keys.dead, $0.keys.members] },
            [String(limit)] + groups.map(\.group))
    }

    /// Gives dead letters back to their group: `ids`, or where there are none up to `limit` of the oldest up to the id `last`. Answers
    /// `[how many, whether there may be more]`.
    static func replay(_ keys: RedisKeys, group: String, ids: [StreamID], last: StreamID, limit: Int) -> RedisCommand {
        letters(
            keys, group: group, ids: ids, last: last, limit: limit,
            each: """
                local add = {'XADD', KEYS[1], '*', 'to', ARGV[1]}
                for i = 1, #entry[2], 2 do
                  local name = entry[2][i]
                  if string.sub(name, 1, 5) ~= 'dead:' and name ~= 'to' then
                    add[#add + 1] = name
                    add[#add + 1] = entry[2][i + 1]
                  end
                end
                local made = redis.pcall(unpack(add))
                if type(made) == 'table' and made.err then return made end
                """)
    }

    /// Forgets dead letters, chosen as for `replay`.
    static func drop(_ keys: RedisKeys, group: String, ids: [StreamID], last: StreamID, limit: Int) -> RedisCommand {
        letters(keys, group: group, ids: ids, last: last, limit: limit, each: "")
    }

    /// Deletes the stream, and what belongs to its groups.
    static func remove(_ keys: RedisKeys) -> RedisCommand {
        call(
            map + """
                local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
                if not groups.err then
                  for _, g in ipairs(groups) do
                    local name = map(g).name
                    for _, part in ipairs({'retry', 'members', 'mark', 'dead'}) do redis.call('DEL', KEYS[1] .. ':' .. part .. ':' .. name) end
                  end
                end
                return redis.call('DEL', KEYS[1])
                """, [keys.stream], [])
    }

    /// Destroys the group with all that belongs to it. Members that are subscribed create it again, to go on behind what there was.
    static func removeGroup(_ keys: RedisKeys, group: String) -> RedisCommand {
        call(
            map + """
                redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
                local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
                if info.err then return 0 end
                local stream = map(info)
                redis.call('HSET', KEYS[5], 'id', stream['last-generated-id'], 'added', stream['entries-added'] or 0, 'removed', 1)
                redis.call('EXPIRE', KEYS[5], 3600)
                return redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
                """, [keys.stream, keys.retry, keys.members, keys.dead, keys.mark], [group])
    }

    private static func letters(
        _ keys: RedisKeys, group: String, ids: [StreamID], last: StreamID, limit: Int, each: String
    ) -> RedisCommand {
        call(
            """
            local entries, more = {}, 0
            if #ARGV > 3 then
              for i = 4, #ARGV do
                local found = redis.call('XRANGE', KEYS[2], ARGV[i], ARGV[i])
                if found[1] then entries[#entries + 1] = found[1] end
              end
            else
              entries = redis.call('XRANGE', KEYS[2], '-', ARGV[2], 'COUNT', ARGV[3])
              if #entries == tonumber(ARGV[3]) then more = 1 end
            end
            for _, entry in ipairs(entries) do
              \(each)
              redis.call('XDEL', KEYS[2], entry[1])
            end
            return {#entries, more}
            """, [keys.stream, keys.dead], [group, last.description, String(limit)] + ids.map(\.description))
    }
}
