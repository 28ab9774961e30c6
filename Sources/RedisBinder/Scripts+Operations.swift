/// What operators ask of a destination and its groups, in one step on the server.
extension Scripts {
    /// What a group has not done: `[lag or nil, pending, waiting for a retry, of these due, dead, members, id of the oldest or nil, now]`.
    static func backlog(_ keys: RedisKeys, group: String) -> RedisCommand {
        call(
            map + clock + """
                local summary = redis.call('XPENDING', KEYS[1], ARGV[1])
                local lag, last
                for _, g in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
                  local group = map(g)
                  if group.name == ARGV[1] then lag, last = group.lag, group['last-delivered-id'] end
                end
                local oldest = summary[2]
                if not oldest then
                  local next = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 1)
                  if next[1] then oldest = next[1][1] end
                end
                return {lag or false, summary[1], redis.call('ZCARD', KEYS[2]), redis.call('ZCOUNT', KEYS[2], '-inf', now),
                  redis.call('XLEN', KEYS[3]), redis.call('ZCOUNT', KEYS[4], now, '+inf'), oldest or false, now}
                """, [keys.stream, keys.retry, keys.dead, keys.members], [group])
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
