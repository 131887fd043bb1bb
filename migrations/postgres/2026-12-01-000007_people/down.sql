DELETE FROM sessions WHERE role = 'person';
DROP INDEX sessions_person;
ALTER TABLE sessions DROP CONSTRAINT sessions_role_check;
ALTER TABLE sessions ADD CONSTRAINT sessions_role_check CHECK (role IN ('bot_owner', 'org_admin', 'super_admin'));
ALTER TABLE sessions DROP COLUMN person_id;
DROP TABLE person_links;
DROP TABLE people;
