-- The original system kept times without a time zone and wrote them in UTC: with the zone they mean
-- the same whatever the session's zone is. On a new table this changes nothing.
set local timezone = 'UTC';

update users set first_name = coalesce(first_name, ''),
	last_name = coalesce(last_name, ''),
	user_active = case when coalesce(user_active, 0) = 0 then 0 else 1 end,
	created_at = coalesce(created_at, now()),
	updated_at = coalesce(updated_at, now());

alter table users
	alter column email set not null,
	alter column first_name set default '',
	alter column first_name set not null,
	alter column last_name set default '',
	alter column last_name set not null,
	alter column password type text,
	alter column password set not null,
	alter column user_active set default 0,
	alter column user_active set not null,
	alter column created_at type timestamptz,
	alter column created_at set default now(),
	alter column created_at set not null,
	alter column updated_at type timestamptz,
	alter column updated_at set default now(),
	alter column updated_at set not null,
	add constraint users_email_not_empty check (email <> ''),
	add constraint users_active_is_a_flag check (user_active in (0, 1));

-- One person, one user: Me@Example.com is me@example.com.
create unique index users_email_any_case on users (lower(email));
create index users_by_last_name on users (last_name, first_name, id);
