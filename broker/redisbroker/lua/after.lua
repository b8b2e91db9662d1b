-- Looks whether the log holds all that follows a position. Returns the position to read after; or, alone, why there is none.
--
-- ARGV  5-7  the position: epoch, n, word; epoch "0" means the zero position
if ARGV[5] == '0' then return {epoch, whole(gone), goneword} end
if ARGV[5] ~= epoch then return {'is of another epoch'} end
local k = tonumber(ARGV[6])
if k > n then return {'is beyond the end'} end
local known = gave(k, ARGV[7])
if known == nil then return {'was trimmed'} end
if not known then return {'was never given out'} end
return {epoch, whole(k), ARGV[7]}
