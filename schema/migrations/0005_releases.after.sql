-- After the code: nobody who lives calls it any more.

-- squawk-ignore ban-drop-function
drop function log_join(integer);
-- squawk-ignore ban-drop-default
alter table replicas alter column release drop default;
