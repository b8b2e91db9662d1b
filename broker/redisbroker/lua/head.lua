-- Returns the position of the newest entry.
return {epoch, whole(n), word}
